"""The template that all tasks of a run share for base, so that one veneer serves one format."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from veneer.foundation.errors import InputError
from veneer.head.recorded import recorded_format
from veneer.head.veneer import Veneer
from veneer.measures.beside import harmless_tasks
from veneer.models.formats import ChatFormat, PlainFormat
from veneer.prompts.templates import ALPACA, CHAT, given_template
from veneer.tasks.task import Task

PUBLISHED = "published"  # as a name: each task's own template
DEFAULT = ALPACA


def run_template(
    tasks: Sequence[Task], given: str | None = None, *, published: bool = False
) -> str | None:
    """The text with {prompt}, or "chat", that base reads every prompt of `tasks` in; None leaves
    each prompt in its own template.

    given: as a person wrote it: a text with {prompt}, a name, or "published" for the tasks' own
    templates. Without it the published ones where `published` is wanted, otherwise Alpaca's, or the
    one that tasks insist on (`Task.kept_templates`). Where tasks insist on several, each keeps its
    own, with a warning. Raises InputError for a text that is no template.
    """
    if given is not None:
        return (
            None
            if given == PUBLISHED
            else _unless_own(tasks, given if given == CHAT else given_template(given))
        )
    if published:
        return None
    kept = set().union(*(t.kept_templates() for t in tasks))
    if len(kept) > 1 or None in kept:
        logging.getLogger("veneer").warning(
            "veneer: the tasks bring %d templates of their own, so the veneer serves several "
            "formats; give --prompt-template for one",
            len(kept),
        )
        return None
    return _unless_own(tasks, next(iter(kept), DEFAULT) or DEFAULT)


def measure_template(tasks: Sequence[Task], veneer: Veneer, given: str | None = None) -> str | None:
    """The same for an existing veneer: without `given` the template that it was fitted behind;
    None where it was fitted behind several, or records none."""
    if given is not None:
        return run_template(tasks, given)
    form = recorded_format(veneer.facts)
    if isinstance(form, ChatFormat):
        return CHAT
    return (
        _unless_own(tasks, form.template)
        if isinstance(form, PlainFormat) and not form.own
        else None
    )


def _unless_own(tasks: Sequence[Task], template: str) -> str | None:
    """None where every prompt brings this template anyway, so that older captures resume."""
    own = {p.own_template for t in tasks for split in ("train", "test") for p in t.prompts(split)}
    return None if own == {template} else template


def check_base_template(prompt_template: str | None, base_template: str | None) -> None:
    """Raise InputError where the two options are both given."""
    if prompt_template is not None and base_template is not None:
        raise InputError(
            "found both --prompt-template and --base-template, which mean the same; give one of "
            "them"
        )


def warn_of_refusals_alone(tasks: Sequence[Task], train: int | None) -> None:
    """Warn where a veneer learns to refuse and nothing beside it: such a one refuses harmless
    prompts as well."""
    learnt = [
        t
        for t in tasks
        if t.kind == "generate" and t.headlines.get("refusal_rate") and t.prompts("train")[:train]
    ]
    if learnt and all(t.headlines["refusal_rate"] == "up" for t in learnt):
        names = ", ".join(t.name for t in learnt)
        logging.getLogger("veneer").warning(
            "veneer: the veneer learns refusals from %s and no task of harmless instructions "
            "stands beside it, so it may refuse everything; add %s to --tasks",
            names,
            harmless_tasks(t.name for t in learnt)[0],
        )
