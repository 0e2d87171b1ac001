"""The prompt formats that a veneer was fitted behind: the one to use, and whether another
one is among them."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from typing import Any

from veneer.foundation.errors import InputError
from veneer.models.formats import ChatFormat, Format, PlainFormat, format_from_facts
from veneer.prompts.prompt import PLACE, Prompt
from veneer.prompts.templates import short

# in place of a template, for a veneer that was fitted behind it
CHAT_TEMPLATE = "the chat template"


def recorded_templates(facts: dict[str, Any]) -> list[tuple[str | None, float]]:
    """(template, share of the prompts) of each template that a veneer's facts record, most used
    first; empty where they record none, as those of version 0.1.0. Raises InputError where the
    record is damaged."""
    rows = facts.get("templates", [])
    try:
        templates = [(row["template"], float(row["share"])) for row in rows]
        wrong = [
            t for t, _ in templates if t is not None and (not isinstance(t, str) or PLACE not in t)
        ]
    except (KeyError, TypeError, ValueError, AttributeError):
        templates, wrong = [], [rows]
    if wrong:
        raise InputError(
            f"the veneer records the template {wrong[0]!r}; expected a text with {{prompt}} in "
            "it; extract it again"
        )
    if templates or "base_format" not in facts:
        return templates
    form = format_from_facts(facts["base_format"])
    return [(form.template, 1.0)] if isinstance(form, PlainFormat) and not form.own else []


def recorded_format(facts: dict[str, Any]) -> Format | None:
    """The one format that a veneer was fitted behind; plain text without a template where it
    records none. None: it records several, or texts that each prompt brought itself."""
    templates = recorded_templates(facts)
    if not templates:
        return format_from_facts(facts["base_format"]) if "base_format" in facts else PlainFormat()
    if len(templates) > 1 or templates[0][0] is None:
        return None
    return _plain(templates[0][0])


def chosen_format(
    facts: dict[str, Any],
    prompts: Sequence[Prompt] = (),
    *,
    mend: str = "choose one with --base-template",
) -> Format:
    """The format in which a veneer's base reads `prompts` where nobody gives one: the recorded one;
    where several are recorded, each prompt's own template, if all of them are among those.

    Raises InputError, which lists the templates with their shares, where there are several and the
    prompts bring none of them.
    """
    form = recorded_format(facts)
    if form is not None:
        return form
    fitted = {t for t, _ in recorded_templates(facts)}
    if prompts and all(p.own_template in fitted for p in prompts):
        return PlainFormat()
    raise InputError(
        f"the veneer was fitted behind several templates ({listed(facts)}) and serves each prompt "
        f"in one; {mend}"
    )


def fitted_formats(facts: dict[str, Any]) -> tuple[str | None, ...]:
    """What a format's template must be one of (see `key`); empty where the veneer
    records nothing."""
    templates = tuple(t for t, _ in recorded_templates(facts))
    chat = "base_format" in facts and isinstance(
        format_from_facts(facts["base_format"]), ChatFormat
    )
    return (CHAT_TEMPLATE,) if chat and not templates else templates


def key(form: Format, prompt: Prompt) -> str | None:
    """The template in which a format puts a prompt, to be compared with `fitted_formats`."""
    if isinstance(form, PlainFormat):
        return form.template_of(prompt)
    return CHAT_TEMPLATE if isinstance(form, ChatFormat) else str(form.facts()["kind"])


def warn_of_formats(
    name: str, form: Format, fitted: Sequence[str | None], prompts: Sequence[Prompt]
) -> None:
    """Warn once of each template that none of the `fitted` ones is; nothing where none are
    recorded."""
    if not fitted:
        return
    for template in dict.fromkeys(key(form, p) for p in prompts):
        if template not in fitted:
            _warn(name, short(template), ", ".join(map(short, fitted)))


@functools.cache  # once a process, not once a batch
def _warn(name: str, template: str, fitted: str) -> None:
    logging.getLogger("veneer").warning(
        "veneer: %s reads prompts behind the template %s, but its veneer was fitted behind %s; "
        "its answers mean little there",
        name,
        template,
        fitted,
    )


def listed(facts: dict[str, Any]) -> str:
    """The recorded templates with their shares: `alpaca 50 %, question 50 %`."""
    return ", ".join(
        f"{short(t)} {share:.0%}".replace("%", " %") for t, share in recorded_templates(facts)
    )


def _plain(template: str) -> PlainFormat:
    return PlainFormat(template, bare=template == PLACE)
