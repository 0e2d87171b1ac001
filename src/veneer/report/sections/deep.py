"""Places where the veneer takes the style and misses the content."""

from __future__ import annotations

from markupsafe import Markup

from veneer.report.page_context import PageContext
from veneer.report.section import Section

SHOWN = 12
BEFORE = 220  # characters of context on a card


def _render(part: PageContext) -> Markup:
    examples = part.study.deep
    tasks = list(dict.fromkeys(e.task for e in examples))
    turns = [[e for e in examples if e.task == t] for t in tasks]
    # every task among the first
    mixed = [some[i] for i in range(max(map(len, turns))) for some in turns if i < len(some)]
    return part.template("deep.html.j2", examples=mixed[:SHOWN], whole=len(examples), before=BEFORE)


SECTION = Section(
    "deep",
    "Style taken, sum missed",
    "Style and sum",
    lambda part: bool(part.study.deep),
    _render,
    rank=130,
)
