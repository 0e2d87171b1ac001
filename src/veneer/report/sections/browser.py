"""Prompts and what the systems answered, token by token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from veneer.report import pack
from veneer.report.load import GROUPS, TOP_OF
from veneer.report.marks import system_class
from veneer.report.page_context import PageContext
from veneer.report.section import Section

EACH = 3  # so many compared systems have a way of shading of their own


def rule(page: PageContext) -> Mapping[str, Any] | None:
    """How the prompts were chosen (measures.shown_prompts), from run.json; None where they are
    simply the first ones."""
    facts = page.study.run.get("shown_prompts")
    whole = isinstance(facts, Mapping) and all(
        isinstance(facts.get(k), int) for k in ("shown", "differ", "prompts")
    )
    return facts if whole else None


def _render(page: PageContext) -> Markup:
    packed = pack.pack_responses(page.study.responses, page.room)
    rows, compared = packed.data["rows"], packed.data["compared"]
    systems = list(dict.fromkeys([*(row["s"] for row in rows), *compared]))
    return page.template(
        "browser.html.j2",
        tasks=packed.data["tasks"],
        notes=packed.notes,
        packed=packed,
        rule=rule(page),
        yardstick=packed.data["yardstick"],
        compared=compared,
        shaded=compared if len(compared) <= EACH else compared[:1],
        systems=systems,
        classes={s: system_class(page.systems.get(s) or s) for s in systems},
        three=(*compared, packed.data["yardstick"]) == TOP_OF,
        groups=GROUPS if any("g" in row for row in rows) else (),
        verdicts=any("d" in row for row in rows),
    )


SECTION = Section(
    "responses",
    "Responses",
    "Responses",
    lambda page: bool(page.study.responses) and rule(page) is None,
    _render,
    last=True,
    rank=140,
)
# near the top: prompts that were chosen to show the difference
CHOSEN = Section(
    "answers",
    "Answers side by side",
    "Answers",
    lambda page: bool(page.study.responses) and rule(page) is not None,
    _render,
    last=True,
    rank=5,
)
