"""Which templates base read its prompts in, for manifests and veneers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from veneer.models.formats import Format, PlainFormat
from veneer.prompts.prompt import Prompt


def template_record(form: Format, prompts: Sequence[Prompt]) -> list[dict[str, Any]]:
    """A row a template, most used first: {"template", "prompts", "share", "tasks": {task:
    prompts}}. template: None for prompts that bring base a text of their own. Empty for a format
    that is no plain text, which `base_format` describes."""
    if not isinstance(form, PlainFormat):
        return []
    return _rows(Counter((form.template_of(p), p.task) for p in prompts))


def record_of_tasks(
    record: Sequence[Mapping[str, Any]], tasks: Sequence[str] | None
) -> list[dict[str, Any]]:
    """The part of a record that belongs to the given tasks; None: all of it."""
    counted = Counter(
        {(row["template"], task): n for row in record for task, n in row["tasks"].items()}
    )
    return _rows(
        Counter({key: n for key, n in counted.items() if tasks is None or key[1] in tasks})
    )


def _rows(counted: Counter[tuple[str | None, str]]) -> list[dict[str, Any]]:
    total = sum(counted.values())
    by_template: dict[str | None, dict[str, int]] = {}
    for (template, task), n in counted.items():
        by_template.setdefault(template, {})[task] = n
    order = sorted(by_template.items(), key=lambda item: (-sum(item[1].values()), item[0] or ""))
    return [
        {
            "template": t,
            "prompts": (n := sum(tasks.values())),
            "share": round(n / total, 4),
            "tasks": tasks,
        }
        for t, tasks in order
    ]
