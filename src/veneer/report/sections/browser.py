"""Prompts and what the systems answered, token by token."""

from __future__ import annotations

from markupsafe import Markup

from veneer.report import pack
from veneer.report.load import GROUPS
from veneer.report.page_context import PageContext
from veneer.report.section import Section


def _render(part: PageContext) -> Markup:
    packed = pack.pack_responses(part.study.responses, part.room)
    return part.template(
        "browser.html.j2",
        tasks=packed.data["tasks"],
        notes=packed.notes,
        packed=packed,
        groups=GROUPS if any("g" in row for row in packed.data["rows"]) else (),
        verdicts=any("d" in row for row in packed.data["rows"]),
    )


SECTION = Section(
    "responses",
    "Responses",
    "Responses",
    lambda part: bool(part.study.responses),
    _render,
    last=True,
    rank=140,
)
