"""What the systems do on each task."""

from __future__ import annotations

from markupsafe import Markup

from veneer.report import tables, words
from veneer.report.part import Part
from veneer.report.section import Section


def _measured(part: Part) -> list[tables.Group]:
    return [g for g in part.of("measure") if g.metric != "portion"]


def _render(part: Part) -> Markup:
    measured = _measured(part)
    systems = [(s, words.SYSTEMS[s]) for s in tables.columns(measured) if s in words.SYSTEMS]
    return part.template("behaviour.html.j2", measured=measured, systems=systems)


SECTION = Section("behaviour", "What the systems do", "Behaviour", lambda part: bool(_measured(part)), _render, ("measure",))
