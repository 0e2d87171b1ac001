"""Recovery: every system on a scale from base to the ceiling, with the margin of the equivalence
test and its verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from veneer.foundation.results import Measurement
from veneer.report import charts, tables
from veneer.report.page_context import PageContext
from veneer.report.section import Section
from veneer.report.visible import visible
from veneer.report.words import interval, name
from veneer.studies.recovery import words
from veneer.studies.recovery.folders_0_1 import facts_of

STUDY = "recovery"
CEILING = "ceiling:"
VERDICTS = ("equivalent", "different", "undecided")


@dataclass(frozen=True)
class RecoveryLine:
    """A system on the scale. row: its portion. gap: its distance to the ceiling, with the
    verdict."""

    row: Measurement
    gap: Measurement | None

    @property
    def oracle(self) -> bool:
        return bool(facts_of(self.row).get("oracle"))

    @property
    def verdict(self) -> str:
        """The verdict and, where the system differs, the side."""
        return words.verdict(self._facts) if self.word else ""

    @property
    def word(self) -> str:
        """One of VERDICTS, or nothing."""
        word = self._facts.get("verdict")
        return word if word in VERDICTS else ""

    @property
    def why(self) -> str:
        """Why there is no place on the scale."""
        return words.undefined(facts_of(self.row)) or words.NO_REASON

    @property
    def _facts(self) -> Mapping[str, Any]:
        return {} if self.gap is None else facts_of(self.gap)


@dataclass(frozen=True)
class Chart:
    """One similarity against one ceiling."""

    group: tables.Group
    ceiling: str
    lines: list[RecoveryLine]
    zero: Measurement | None
    one: Measurement | None

    @property
    def scale(self) -> charts.Scale:
        return charts.portion_scale([line.row for line in self.lines])

    @property
    def best(self) -> bool:
        return (self.group.of or "").endswith("_best")

    def counts(self) -> list[tuple[str, int]]:
        return [(w, n) for w in VERDICTS if (n := sum(line.word == w for line in self.lines))]


def recovered(page: PageContext) -> list[Chart]:
    """One chart per similarity and ceiling; mean similarities before best ones, the best-recovered
    system first."""
    gaps = {(g.of, g.split, g.judge): g for g in page.of(STUDY, metric="gap_to_ceiling")}
    values = {(g.metric, g.judge): g for g in page.of(STUDY)}
    base = str(_scale(page).get("zero") or "base")
    charted = []
    for g in page.of(STUDY, metric="portion"):
        ceiling = (g.split or "").removeprefix(CEILING)
        gap = gaps.get((g.of, g.split, g.judge))
        lines = [
            RecoveryLine(row, gap.systems.get(s) if gap else None) for s, row in g.systems.items()
        ]
        lines.sort(key=lambda line: (line.row.value is None, -(line.row.value or 0)))
        ends = values.get((g.of or "", g.judge))
        zero, one = (ends.systems.get(s) if ends else None for s in (base, ceiling))
        charted.append(Chart(g, ceiling, lines, zero, one))
    return sorted(charted, key=lambda c: c.best)


def band(page: PageContext) -> tuple[float, float] | None:
    """The margin around the ceiling on the scale, where it is a share of it."""
    share = _scale(page).get("margin_share")
    return (1 - share, 1 + share) if isinstance(share, float) and 0 < share < 1 else None


def _scale(page: PageContext) -> dict[str, Any]:
    """The scale in run.json, which may hold anything."""
    scale = page.study.run.get("scale")
    return scale if isinstance(scale, dict) else {}


def others(page: PageContext) -> Sequence[tables.Group]:
    return [g for g in page.of(STUDY) if g.metric not in ("portion", "gap_to_ceiling")]


def dropped(page: PageContext) -> list[tuple[str, str]]:
    """(system, the examples left out of its prompts)."""
    rows = [r for g in page.of(STUDY, metric="examples") for r in g.systems.values()]
    facts = {r.system: facts_of(r) for r in rows}
    return [(system, words.dropped(f)) for system, f in facts.items() if f.get("dropped")]


def _render(page: PageContext) -> Markup:
    charted = recovered(page)
    return page.template(
        "page.html.j2",
        package=__package__,
        charted=[c for c in charted if not c.best],
        best=[c for c in charted if c.best],
        portions=page.of(STUDY, metric="portion") + page.of(STUDY, metric="gap_to_ceiling"),
        others=others(page),
        band=band(page),
        dropped=dropped(page),
    )


def _finding(page: PageContext) -> Markup | None:
    """The highest place on the first scale, among systems that have seen no test answer."""
    chart = next((c for c in recovered(page) if not c.best), None)
    lines = [] if chart is None else chart.lines
    line = next((x for x in lines if x.row.value is not None and not x.oracle), None)
    if chart is None or line is None:
        return None
    row = line.row
    fair = [x.row for x in lines if x.row.value is not None and not x.oracle]
    place = Markup(
        "{} has the highest place from base (0) to the ceiling (1): {} (95 % interval {}, n = {}) "
        "by {}."
    ).format(
        visible(row.system, 60), page.link(row, 2), interval(row, 2), row.n, name(chart.group.of)
    )
    if not any(x.low is not None and x.low > 0 for x in fair):
        place = Markup(
            "Whether any system comes nearer to the ceiling than base is not determined. {}"
        ).format(place)
    if not line.verdict:
        return place
    return place + Markup(" The test of equivalence with the ceiling says: {}.").format(
        visible(line.verdict, 60)
    )


SECTION = Section(
    "recovery",
    "Recovery in context",
    "Recovery",
    lambda page: bool(page.of(STUDY)),
    _render,
    (STUDY,),
    rank=70,
    question="Does base recover the aligned answers in context?",
    finding=_finding,
    package=__package__,
)
