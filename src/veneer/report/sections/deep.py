"""Places where the veneer takes the style and misses the content."""

from __future__ import annotations

from markupsafe import Markup

from veneer.report.page_context import PageContext
from veneer.report.section import Section

SHOWN = 12
BEFORE = 220  # characters of context on a card


def _render(page: PageContext) -> Markup:
    every = page.study.deep
    tasks = list(dict.fromkeys(e.task for e in every))
    by_task = [[e for e in every if e.task == t] for t in tasks]
    # every task among the first
    longest = max(map(len, by_task))
    mixed = [examples[i] for i in range(longest) for examples in by_task if i < len(examples)]
    return page.template("deep.html.j2", examples=mixed[:SHOWN], whole=len(every), before=BEFORE)


SECTION = Section(
    "deep",
    "Style taken, sum missed",
    "Style and sum",
    lambda page: bool(page.study.deep),
    _render,
    rank=130,
)
