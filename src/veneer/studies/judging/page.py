"""Judged answers on the page: what each judge says of them, and how two judges agree."""

from __future__ import annotations

from markupsafe import Markup

from veneer.report.page_context import PageContext
from veneer.report.section import Section
from veneer.report.tables import Group
from veneer.report.words import by_system, name
from veneer.studies.judging.names import STUDY

LEADING = 3  # figures in the finding


def _verdicts(page: PageContext) -> list[Group]:
    return [g for g in page.of(STUDY) if g.of is None]


def _render(page: PageContext) -> Markup:
    parts = (
        (_verdicts(page), "What the judges say of each system's answers, with 95 % intervals."),
        (
            [g for g in page.of(STUDY) if g.of is not None],
            "How two judges agree on the same answers, with 95 % intervals.",
        ),
    )
    return Markup().join(page.pivot(groups, caption) for groups, caption in parts if groups)


def _finding(page: PageContext) -> Markup | None:
    """The first metric of each judge on each task."""
    first: dict[tuple[str, str | None], Group] = {}
    for g in _verdicts(page):
        first.setdefault((g.task, g.judge), g)
    shown = [
        Markup("{} on {}: {}.").format(
            name(g.metric).capitalize(), name(g.task), by_system(g, page.anchor)
        )
        for g in list(first.values())[:LEADING]
    ]
    if len(first) > LEADING:
        shown.append(Markup("The table below has more."))
    return Markup(" ").join(shown) or None


SECTION = Section(
    "judge",
    "What the judges say",
    "Judges",
    lambda page: bool(page.of(STUDY)),
    _render,
    (STUDY,),
    question="What do the judges say of these answers?",
    finding=_finding,
)
