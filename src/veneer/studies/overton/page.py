"""An Overton study on the page: each system's score, and its coverage of each question."""

from __future__ import annotations

from markupsafe import Markup

from veneer.report.page_context import PageContext
from veneer.report.section import Section
from veneer.report.words import by_system
from veneer.studies.overton.names import SCORE, STUDY


def _render(page: PageContext) -> Markup:
    caption = (
        "Share of people's viewpoints that the responses cover: over all questions, where n counts "
        "questions, and of each question, where n counts responses. 95 % intervals."
    )
    return page.pivot(page.of(STUDY), caption)


def _finding(page: PageContext) -> Markup | None:
    groups = page.of(STUDY, metric=SCORE)
    if not groups:
        return None
    return Markup("Share of people's viewpoints that a response covers, by question: {}.").format(
        Markup("; ").join(by_system(g, page.anchor) for g in groups)
    )


SECTION = Section(
    "overton",
    "Viewpoints covered",
    "Viewpoints",
    lambda page: bool(page.of(STUDY)),
    _render,
    (STUDY,),
    question="Which viewpoints of people do the responses cover?",
    finding=_finding,
)
