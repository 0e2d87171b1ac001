"""Every row of results.jsonl, each with its anchor."""

from __future__ import annotations

from markupsafe import Markup, escape

from veneer.foundation.results import Measurement
from veneer.report.page_context import PageContext
from veneer.report.section import Section
from veneer.report.visible import visible
from veneer.report.words import figure, position

FIELDS = (
    "study",
    "task",
    "metric",
    "of",
    "system",
    "split",
    "position",
    "value",
    "low",
    "high",
    "n",
    "unit",
    "judge",
    "note",
)
NUMBERS = ("value", "low", "high", "n")
LIMITS = {"note": 400, "task": 80, "judge": 60}  # characters shown; the saved files have them all


def _render(page: PageContext) -> Markup:
    body = Markup("").join(_line(page, row) for row in page.study.rows)
    data = [[getattr(row, f) for f in FIELDS] for row in page.study.rows]
    return page.template(
        "rows.html.j2",
        body=body,
        data={"fields": FIELDS, "rows": data},
        fields=FIELDS,
        numbers=NUMBERS,
    )


def _line(page: PageContext, row: Measurement) -> Markup:
    """Without end tags, which HTML lets one leave out: a study may have thousands of rows."""
    return Markup('<tr id="{}">{}\n').format(
        page.anchor(row), Markup("").join(_cell(row, f) for f in FIELDS)
    )


def _cell(row: Measurement, field: str) -> Markup:
    value = getattr(row, field)
    if field in NUMBERS:
        text = "" if value is None else str(value) if field == "n" else figure(value, 4)
    elif field == "position":
        text = position(value) if value else ""
    else:
        text = visible(value or "", LIMITS.get(field, 60))
    return Markup("<td{}>{}").format(
        Markup(' class="num"' if field in NUMBERS else ""), escape(text)
    )


SECTION = Section("results", "All results", "All results", lambda page: True, _render, rank=170)
