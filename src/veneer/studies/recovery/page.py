"""Recovery: every system on a scale from base to the ceiling, with the margin of the equivalence
test and its verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from veneer.foundation.results import Measurement
from veneer.report import charts, tables
from veneer.report.page_context import Part
from veneer.report.section import Section

STUDY = "recovery"
CEILING = "ceiling:"
VERDICTS = ("equivalent", "different", "undecided")


@dataclass(frozen=True)
class Line:
    """A system on the scale. verdict: one of VERDICTS and, where it differs, the side; word:
    without the side."""

    row: Measurement
    gap: Measurement | None

    @property
    def oracle(self) -> bool:
        return "oracle" in (self.row.note or "")

    @property
    def verdict(self) -> str:
        found = ((self.gap.note if self.gap else None) or "").partition(":")[0]
        return found if self.word in VERDICTS and found.startswith(self.word) else ""

    @property
    def word(self) -> str:
        return ((self.gap.note if self.gap else None) or "").partition(":")[0].partition(" ")[0]

    @property
    def why(self) -> str:
        """Why there is no place on the scale: the portion's own note, without the oracle's mark."""
        return (self.row.note or "no reason given").partition("; oracle")[0]


@dataclass(frozen=True)
class Chart:
    """One similarity against one ceiling."""

    group: tables.Group
    ceiling: str
    lines: list[Line]
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


def recovered(part: Part) -> list[Chart]:
    """A chart a similarity and ceiling; mean similarities before best ones, the
    best-recovered system first."""
    gaps = {(g.of, g.split, g.judge): g for g in part.of(STUDY, metric="gap_to_ceiling")}
    values = {(g.metric, g.judge): g for g in part.of(STUDY)}
    base = str(_scale(part).get("zero") or "base")
    found = []
    for g in part.of(STUDY, metric="portion"):
        ceiling = (g.split or "").removeprefix(CEILING)
        gap = gaps.get((g.of, g.split, g.judge))
        lines = [Line(row, gap.systems.get(s) if gap else None) for s, row in g.systems.items()]
        lines.sort(key=lambda line: (line.row.value is None, -(line.row.value or 0)))
        ends = values.get((g.of or "", g.judge))
        zero, one = (ends.systems.get(s) if ends else None for s in (base, ceiling))
        found.append(Chart(g, ceiling, lines, zero, one))
    return sorted(found, key=lambda c: c.best)


def band(part: Part) -> tuple[float, float] | None:
    """The margin around the ceiling on the scale, where it is a share of it."""
    share = _scale(part).get("margin_share")
    return (1 - share, 1 + share) if isinstance(share, float) and 0 < share < 1 else None


def _scale(part: Part) -> dict[str, Any]:
    """What run.json says of the scale; nothing about it is assumed."""
    found = part.study.run.get("scale")
    return found if isinstance(found, dict) else {}


def others(part: Part) -> Sequence[tables.Group]:
    return [g for g in part.of(STUDY) if g.metric not in ("portion", "gap_to_ceiling")]


def dropped(part: Part) -> list[tuple[str, str]]:
    """(system, what was left out of its prompts)."""
    rows = [r for g in part.of(STUDY, metric="examples") for r in g.systems.values()]
    return [(r.system, r.note.partition(";")[0]) for r in rows if r.note and "dropped" in r.note]


def _render(part: Part):
    found = recovered(part)
    return part.template(
        "page.html.j2",
        package=__package__,
        charted=[c for c in found if not c.best],
        best=[c for c in found if c.best],
        portions=part.of(STUDY, metric="portion") + part.of(STUDY, metric="gap_to_ceiling"),
        others=others(part),
        band=band(part),
        dropped=dropped(part),
    )


SECTION = Section(
    "recovery",
    "Recovery in context",
    "Recovery",
    lambda part: bool(part.of(STUDY)),
    _render,
    (STUDY,),
    rank=70,
    package=__package__,
)
