"""KL by position in the response, one chart per task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from markupsafe import Markup

from veneer.foundation.results import Measurement
from veneer.report import tables
from veneer.report.page_context import PageContext
from veneer.report.section import Section
from veneer.report.systems import order


@dataclass
class Curves:
    """One chart: the KL of every system at each position of one task. series: system -> its rows;
    `early`: the share of base's KL in the first positions; `floor`: the highest noise floor;
    `ends`: the first and the last position that have base and veneer."""

    task: str
    split: str | None
    groups: list[tables.Group] = field(default_factory=list)
    series: dict[str, list[Measurement]] = field(default_factory=dict)
    early: tables.Group | None = None

    @property
    def n(self) -> str:
        sizes = sorted(row.n for g in self.groups for row in g.systems.values())
        return str(sizes[0]) if sizes[0] == sizes[-1] else f"{sizes[0]} to {sizes[-1]}"

    def without(self, names: Sequence[str]) -> dict[str, list[Measurement]]:
        """The series of all other systems."""
        return {s: rows for s, rows in self.series.items() if s not in names}

    @property
    def floor(self) -> float | None:
        return max(
            (row.value for row in self.series.get("aligned", []) if row.value is not None),
            default=None,
        )

    @property
    def ends(self) -> list[tables.Group]:
        with_veneer = [g for g in self.groups if {"base", "veneer"} <= set(g.systems)]
        return [with_veneer[0], with_veneer[-1]] if len(with_veneer) > 1 else []


def curves(page: PageContext) -> list[Curves]:
    """One chart per task (and split, judge), `joint` first."""
    every = page.of("position")
    charts: dict[tuple, Curves] = {}
    for g in every:
        if g.metric != "kl" or not g.position:
            continue
        chart = charts.setdefault((g.task, g.split, g.judge), Curves(g.task, g.split))
        chart.groups.append(g)
        for system, row in g.systems.items():
            chart.series.setdefault(system, []).append(row)
    for chart in charts.values():
        _floor(chart, page.study.rows)
        early = (
            g
            for g in every
            if (g.task, g.metric) == (chart.task, "early_kl_share") and "base" in g.systems
        )
        chart.early = next(early, None)
        identities = {s: rows[0].identity for s, rows in chart.series.items()}
        chart.series = {s: chart.series[s] for s in order(identities)}
    return sorted(charts.values(), key=lambda c: c.task != "joint")


def _floor(chart: Curves, rows: Sequence[Measurement]) -> None:
    """The noise floor has no position; it is drawn as a line."""
    flat = tables.noise_floor(rows, "position", chart.task)
    if flat is not None and "aligned" not in chart.series:
        chart.series["aligned"] = [replace(flat, position=g.position) for g in chart.groups]


def _render(page: PageContext) -> Markup:
    charts = curves(page)
    drawn = {id(g) for chart in charts for g in chart.groups}
    rest = [g for g in page.of("position") if id(g) not in drawn]
    return page.template("position.html.j2", curves=charts, rest=rest)


SECTION = Section(
    "position",
    "Where the distance lies",
    "Positions",
    lambda page: bool(page.of("position")),
    _render,
    ("position",),
    rank=110,
)
