"""The cross table: veneers extracted on one task, measured on another."""

from __future__ import annotations

from markupsafe import Markup

from veneer.report import tables
from veneer.report.page_context import PageContext
from veneer.report.section import Section


def _render(page: PageContext) -> Markup:
    columns = tables.cross(page.groups)
    sources = list(dict.fromkeys(source for _, rows in columns for source in rows))
    measured = [g.task for g, _ in columns]
    sources.sort(key=lambda s: measured.index(s) if s in measured else len(measured))
    return page.template("cross.html.j2", columns=columns, sources=sources)


SECTION = Section(
    "cross",
    "Extracted here, measured there",
    "Cross table",
    lambda page: bool(tables.cross(page.groups)),
    _render,
    rank=90,
)
