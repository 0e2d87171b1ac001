"""Rows of studies that no other section shows."""

from __future__ import annotations

from veneer.report.page_context import PageContext
from veneer.report.section import Section
from veneer.report.tables import Group


def _rest(page: PageContext) -> dict[str, list[Group]]:
    from veneer.report.sections import all_sections  # this module is one of them

    drawn = {study for section in all_sections() for study in section.studies}
    rest: dict[str, list[Group]] = {}
    for g in page.groups:
        if g.study not in drawn:
            rest.setdefault(g.study, []).append(g)
    return rest


SECTION = Section(
    "more",
    "More measurements",
    "More",
    lambda page: bool(_rest(page)),
    lambda page: page.template("more.html.j2", rest=_rest(page)),
    rank=150,
)
