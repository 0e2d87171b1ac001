"""Scores against numbers of examples: a logarithmic axis with a place of its own for 0, points with
whiskers, and the fitted curve with its band."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from veneer.foundation.results import Measurement
from veneer.report.visible import visible
from veneer.report.words import Anchor, figure, interval

TOP, PLOT, BELOW = 12, 270, 52  # px: above the plot, the plot, its labels
AT_0 = 11.0  # % of the width at which base itself stands
AXIS = (19.0, 96.0)  # % of the width of the logarithmic axis
SHAPES = {
    "style": None,  # a disc
    "skill": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "refusal": ((0, -1.15), (1.1, 0.85), (-1.1, 0.85)),
    "over": ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),
    "kl": ((-1.1, -0.85), (1.1, -0.85), (0, 1.15)),
}


@dataclass(frozen=True)
class Series:
    """One score. kind: of `SHAPES`. rows: number of examples -> row. fit: facts of the fitted
    curve (at, curve, low, high), or None: the points are then joined by straight lines."""

    label: str
    kind: str
    rows: Mapping[int, Measurement]
    fit: Mapping[str, Sequence[float]] | None = None

    @property
    def known(self) -> dict[int, Measurement]:
        return {s: r for s, r in sorted(self.rows.items()) if r.value is not None}


class _Plane:
    """Places of sizes in % of the width, and of scores in px. high: the greatest score drawn."""

    def __init__(self, sizes: Sequence[int], low: float, high: float):
        positive = [s for s in sizes if s > 0]
        self.sizes, self.low, self.high = sorted(sizes), low, high
        self._first, self._last = math.log(min(positive)), math.log(max(positive))

    def x(self, size: float) -> float:
        if size <= 0:
            return AT_0
        span = self._last - self._first
        share = (math.log(size) - self._first) / span if span else 0.5
        return round(AXIS[0] + (AXIS[1] - AXIS[0]) * share, 2)

    def y(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(TOP + PLOT * (1 - share), 2)


def chart(series: Sequence[Series], anchor: Anchor, label: str) -> Markup:
    """series: with at least one row above size 0."""
    sizes = sorted({s for one in series for s in one.known})
    values = [
        x
        for one in series
        for r in one.known.values()
        for x in (r.value, r.low, r.high)
        if x is not None
    ]
    low, high = max(-0.5, min([0.0, *values])), min(1.5, max([1.0, *values]))
    plane = _Plane(sizes, low, high)
    parts = [*_grid(plane), *(_ticks(plane))]
    lines = [line for one in series for line in _lines(one, plane)]
    dots = [_dot(one, s, r, plane, anchor) for one in series for s, r in one.known.items()]
    height = TOP + PLOT + BELOW
    inner = Markup(
        '<svg x="0" y="0" width="100%" height="{h}" viewBox="0 0 1000 {h}" '
        'preserveAspectRatio="none">{}</svg>'
    ).format(Markup("").join(lines), h=height)
    spoken = "; ".join(f"{one.label}: {_spoken(one)}" for one in series)
    return Markup(
        '<svg class="chart curve-chart" height="{}" role="img"><title>{}</title><desc>{}</desc>'
        "{}{}{}</svg>"
    ).format(height, label, spoken, Markup("").join(parts), inner, Markup("").join(dots))


def sign(kind: str) -> Markup:
    """A series' mark alone, for the legend."""
    return Markup(
        '<svg class="sign curve-{}" width="30" height="14" aria-hidden="true"><line class="line" '
        'x1="0" x2="30" y1="7" y2="7"/>{}</svg>'
    ).format(kind, _mark(kind, "15", 7))


def _spoken(one: Series) -> str:
    return ", ".join(f"{figure(r.value, 2)} at {s}" for s, r in one.known.items())


def _grid(plane: _Plane) -> list[Markup]:
    ticks = [t / 4 for t in range(-2, 7) if plane.low <= t / 4 <= plane.high]
    return [
        Markup(
            '<line class="grid" x1="6%" x2="100%" y1="{y}" y2="{y}"/><text class="tick" x="0" '
            'y="{t}">{v:g}</text>'
        ).format(y=plane.y(v), t=plane.y(v) + 4, v=v)
        for v in ticks
    ]


def _ticks(plane: _Plane) -> list[Markup]:
    bottom = TOP + PLOT + 18
    parts = [
        Markup('<text class="tick" x="{}%" y="{}" text-anchor="middle">{:,}</text>').format(
            plane.x(s), bottom, s
        )
        for s in plane.sizes
    ]
    parts.append(
        Markup(
            '<text class="axis-name" x="{}%" y="{}" text-anchor="middle">training examples '
            "(logarithmic; 0 is base itself)</text>"
        ).format(sum(AXIS) / 2, TOP + PLOT + 42)
    )
    return parts


def _lines(one: Series, plane: _Plane) -> list[Markup]:
    """The fitted curve and its band; or straight lines, and the points' own intervals as a band."""
    if one.fit is not None:
        xs = [plane.x(s) * 10 for s in one.fit["at"]]
        middle, low, high = ([plane.y(v) for v in one.fit[k]] for k in ("curve", "low", "high"))
    else:
        rows = {s: r for s, r in one.known.items() if s > 0}
        xs = [plane.x(s) * 10 for s in rows]
        middle = [plane.y(r.value or 0.0) for r in rows.values()]
        low = [plane.y(_or(r.low, r.value)) for r in rows.values()]
        high = [plane.y(_or(r.high, r.value)) for r in rows.values()]
    upper = [f"{x:.1f},{y}" for x, y in zip(xs, high, strict=True)]
    lower = [f"{x:.1f},{y}" for x, y in zip(xs, low, strict=True)][::-1]
    points = " ".join(f"{x:.1f},{y}" for x, y in zip(xs, middle, strict=True))
    return [
        Markup('<polygon class="band curve-{k}" data-series="{k}" points="{}"/>').format(
            " ".join(upper + lower), k=one.kind
        ),
        Markup('<polyline class="line curve-{k}" data-series="{k}" points="{}"/>').format(
            points, k=one.kind
        ),
    ]


def _or(value: float | None, other: float | None) -> float:
    return value if value is not None else other or 0.0


def _dot(one: Series, size: int, row: Measurement, plane: _Plane, anchor: Anchor) -> Markup:
    """A mark with its whisker that leads to its row."""
    at, whisker = f"{plane.x(size)}%", Markup("")
    if row.low is not None and row.high is not None:
        whisker = Markup('<line class="whisker" x1="{x}" x2="{x}" y1="{}" y2="{}"/>').format(
            plane.y(row.low), plane.y(row.high), x=at
        )
    title = (
        f"{one.label}, {size:,} examples: {figure(row.value, 2)}, 95 % interval "
        f"{interval(row, 2)}, n = {row.n}"
    )
    return Markup(
        '<a href="#{}" tabindex="-1" class="curve-{k}" data-series="{k}">{}{}<title>{}</title></a>'
    ).format(
        anchor(row),
        whisker,
        _mark(one.kind, at, plane.y(row.value or 0.0)),
        visible(title, 200),
        k=one.kind,
    )


def _mark(kind: str, x: str, y: float, r: float = 5) -> Markup:
    shape = SHAPES.get(kind)
    if shape is None:
        return Markup('<circle class="disc" cx="{}" cy="{}" r="{}"/>').format(x, y, r)
    points = " ".join(f"{round(a * r, 2)},{round(b * r, 2)}" for a, b in shape)
    return Markup(
        '<svg x="{}" y="{}" width="1" height="1" overflow="visible"><polygon class="disc" '
        'points="{}"/></svg>'
    ).format(x, y, points)
