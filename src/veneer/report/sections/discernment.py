"""Discernment: ROC curves, and what each system tells of harmful and harmless prompts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from veneer.foundation.results import Measurement
from veneer.report import charts, tables
from veneer.report.discernment import AUROC, PROBE
from veneer.report.page_context import PageContext
from veneer.report.roc import curve_of, roc_chart
from veneer.report.section import Section
from veneer.report.systems import MAIN

DRAWN = 6  # curves of one chart, the probe not counted
PROBE_CLASSES = "sys-other alt0"


@dataclass(frozen=True)
class Chart:
    """One contrast. lines: the row and the CSS classes of each curve, by system."""

    task: str
    harmful: Any
    harmless: Any
    lines: dict[str, tuple[Measurement, str]]
    probe: Measurement | None
    drawn: Markup
    rows: list[tables.Group]


def _charts(page: PageContext) -> list[Chart]:
    groups = [g for g in page.of("measure") if AUROC in (g.metric, g.of) or g.metric == PROBE]
    return [
        _chart(page, [other for other in groups if other.task == g.task])
        for g in groups
        if g.metric == AUROC
    ]


def _chart(page: PageContext, groups: list[tables.Group]) -> Chart:
    areas = next(g for g in groups if g.metric == AUROC)
    probes = next((g for g in groups if g.metric == PROBE), None)
    probe = None if probes is None else probes.first
    shown = {s: areas.systems[s] for s in _drawn(page, areas.systems)}
    classes = charts.line_classes({s: [row] for s, row in shown.items()})
    curves, styles = dict(shown), dict(classes)
    if probe is not None and curve_of(probe):
        curves["linear probe"], styles["linear probe"] = probe, PROBE_CLASSES
    return Chart(
        areas.task,
        areas.first.fact("harmful"),
        areas.first.fact("harmless"),
        {s: (row, classes[s]) for s, row in shown.items()},
        probe,
        roc_chart(curves, styles, f"ROC curves on {areas.task}"),
        groups,
    )


def _drawn(page: PageContext, rows: Mapping[str, Measurement]) -> list[str]:
    """The systems whose curves are drawn: base, veneer and aligned where there is a veneer,
    otherwise the first ones that have a curve."""
    names = [s for s in page.order(rows) if curve_of(rows[s])]
    main = [s for s in names if s in MAIN]
    return main if "veneer" in main else names[:DRAWN]


def _openings(page: PageContext) -> list[tuple[str, int, int]]:
    """(text, refusals, others) of each opening, from the first row that holds openings."""
    for g in page.of("measure", metric=AUROC):
        for row in g.systems.values():
            facts = row.fact("openings")
            openings = facts.get("openings") if isinstance(facts, Mapping) else None
            if isinstance(openings, list) and all(isinstance(o, Mapping) for o in openings):
                return [(str(o.get("text")), o.get("refusals"), o.get("others")) for o in openings]
    return []


SECTION = Section(
    "discernment",
    "Can it tell harmful from harmless?",
    "Discernment",
    lambda page: bool(page.of("measure", metric=AUROC)),
    lambda page: page.template(
        "discernment.html.j2", shown=_charts(page), openings=_openings(page)
    ),
    rank=60,
)
