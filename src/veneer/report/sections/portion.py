"""The superficial portion by task, as a chart with intervals."""

from __future__ import annotations

from markupsafe import Markup

from veneer.report import charts, tables
from veneer.report.part import Part
from veneer.report.section import Section


def _portions(part: Part) -> list[tables.Group]:
    return part.of("measure", metric="portion")


def _applies(part: Part) -> bool:
    return bool(tables.headline(_portions(part)))


def _render(part: Part) -> Markup:
    portions = _portions(part)
    lead = tables.headline(portions)
    return part.template(
        "portion.html.j2",
        headline=lead,
        portions=portions,
        variants=[tables.variants(portions, g) for g in lead],
        scale=charts.portion_scale([r for g in lead for r in g.systems.values()]),
    )


SECTION = Section("portion", "Superficial portion", "Portion", _applies, _render)
