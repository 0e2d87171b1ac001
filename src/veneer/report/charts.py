"""Charts as inline SVG.

Horizontal coordinates are percentages and type is set in CSS pixels, so that a chart fills a stage
or a phone with letters of the same size. Colours are CSS classes; shapes and dashes differ too, so
that no chart depends on colour.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from veneer.foundation.results import Measurement
from veneer.report.marks import line_classes, linear_top, mark, sign, squashing, system_class
from veneer.report.systems import family, order
from veneer.report.words import Anchor, figure, interval, name, position

__all__ = [
    "Scale",
    "axis",
    "bar",
    "dumbbell",
    "gauge",
    "lane",
    "line_classes",
    "linear_top",
    "nice_ticks",
    "portion_scale",
    "positions",
    "shade",
    "sign",
    "squashing",
    "strip",
]

LANE = 26  # height of a dot-and-whisker lane, px
STRIP = 54  # height of a lane with the other systems below the veneer, px
MID = LANE / 2
PLOT = 260  # height of the position chart's plot, px
TOP = 30  # room above it for the highest tick's letters and the axis's name
Position = tuple[int, int]  # first and last response position of a bin


@dataclass(frozen=True, slots=True)
class Scale:
    """A span of values laid over 2 % to 98 % of the width."""

    low: float
    high: float

    def at(self, x: float) -> float:
        share = (min(max(x, self.low), self.high) - self.low) / (self.high - self.low)
        return round(2 + 96 * share, 3)

    def holds(self, x: float) -> bool:
        return self.low <= x <= self.high


def portion_scale(rows: Sequence[Measurement]) -> Scale:
    """Holds 0, 1 and the intervals, but never more than -1 to 2: what lies beyond is
    drawn as an arrow."""
    seen = [x for r in rows for x in (r.value, r.low, r.high) if x is not None]
    return Scale(max(-1.0, min([-0.15, *seen])), min(2.0, max([1.15, *seen])))


def lane(
    row: Measurement, scale: Scale, *, small: bool, references: Sequence[float] = (0, 1)
) -> Markup:
    """A dot and its whisker on one lane."""
    lines = [_reference(x, scale, LANE, 9) for x in references]
    title = f"{name(row.system)}: {figure(row.value, 2)}, 95 % interval {interval(row, 2)}"
    return Markup(
        '<svg class="lane" height="{}" role="img"><title>{}</title>{}<g class="{}">{}</g></svg>'
    ).format(
        LANE,
        title,
        Markup("").join(lines),
        system_class(row.identity),
        _dot(row, scale, 4 if small else 6.5),
    )


def _reference(x: float, scale: Scale, height: int, beyond: int = 0) -> Markup:
    return Markup('<line class="ref" x1="{x}%" x2="{x}%" y1="{a}" y2="{b}"/>').format(
        x=scale.at(x), a=-beyond, b=height + beyond
    )


def _dot(row: Measurement, scale: Scale, size: float) -> Markup:
    """An estimate's mark with its whisker; an arrow for what lies beyond the scale."""
    assert row.value is not None
    marks: list[Markup] = []
    if row.low is not None and row.high is not None:
        a, b = scale.at(row.low), scale.at(row.high)
        marks.append(
            Markup('<line class="whisker" x1="{}%" x2="{}%" y1="{y}" y2="{y}"/>').format(
                a, b, y=MID
            )
        )
        for end, x in ((a, row.low), (b, row.high)):
            if scale.holds(x):
                marks.append(
                    Markup('<line class="whisker" x1="{x}%" x2="{x}%" y1="{}" y2="{}"/>').format(
                        MID - 4, MID + 4, x=end
                    )
                )
            else:
                marks.append(_arrow(end, x > scale.high))
    if scale.holds(row.value):
        marks.append(mark(row.identity, f"{scale.at(row.value)}%", MID, size))
    else:
        marks.append(_arrow(scale.at(row.value), row.value > scale.high))
    return Markup("").join(marks)


def strip(
    systems: Mapping[str, Measurement], scale: Scale, anchor: Anchor, off: Sequence[str] = ()
) -> Markup:
    """The veneer's dot and whisker, and below it the other systems as small marks that
    lead to their rows. off: families that are hidden until the legend shows them."""
    row = systems["veneer"]
    assert row.value is not None
    lines = [_reference(x, scale, STRIP) for x in (0, 1)]
    track = Markup('<line class="track" x1="{}%" x2="{}%" y1="{y}" y2="{y}"/>').format(
        scale.at(0), scale.at(1), y=40
    )
    others = []
    for system in order({s: row.identity for s, row in systems.items()}):
        other = systems[system]
        if system == "veneer" or other.value is None:
            continue
        title = f"{name(system)}: {figure(other.value, 2)}, 95 % interval {interval(other, 2)}"
        drawn = (
            mark(other.identity, f"{scale.at(other.value)}%", 40, 5)
            if scale.holds(other.value)
            else _arrow(scale.at(other.value), other.value > scale.high, 40)
        )
        others.append(
            Markup(
                '<a href="#{}" tabindex="-1" class="{}" data-series="{}"><title>{}</title>{}</a>'
            ).format(
                anchor(other),
                system_class(other.identity) + " off" * (family(other.identity) in off),
                family(other.identity),
                title,
                drawn,
            )
        )
    title = (
        f"veneer: {figure(row.value, 2)}, 95 % interval {interval(row, 2)}; {len(others)} other "
        "systems below"
    )
    return Markup(
        '<svg class="lane strip" height="{}" role="img"><title>{}</title>{}{}{}<g '
        'class="sys-veneer">{}</g></svg>'
    ).format(
        STRIP, title, Markup("").join(lines), track, Markup("").join(others), _dot(row, scale, 7)
    )


def axis(
    scale: Scale,
    ticks: Sequence[float],
    names: Mapping[float, str] | None = None,
    unit: str | None = None,
) -> Markup:
    """The labels over or under lanes; `names` replaces numbers. unit: of all of them, below. Where
    more than four numbers stand there, a telephone shows every second one, counted from 0."""
    held = [x for x in ticks if scale.holds(x)]
    many = len(held) > 4 and not names
    middle = next((i for i, x in enumerate(held) if x == 0), 0)
    texts = [
        Markup('<text x="{}%" y="14" text-anchor="middle"{}>{}</text>').format(
            scale.at(x),
            Markup(' class="second"') if many and (i - middle) % 2 else "",
            (names or {}).get(x, _short(x)),
        )
        for i, x in enumerate(held)
    ]
    if unit is not None:
        texts.append(
            Markup('<text x="50%" y="32" text-anchor="middle" class="axis-name">{}</text>').format(
                unit
            )
        )
    return Markup('<svg class="lane axis" height="{}" aria-hidden="true">{}</svg>').format(
        20 if unit is None else 38, Markup("").join(texts)
    )


def dumbbell(
    base: Measurement, after: Measurement, floor: Measurement | None, scale: Scale
) -> Markup:
    """KL before and after on one lane; the noise floor where there is one."""
    values = [f"base {figure(base.value)}", f"{name(after.system)} {figure(after.value)}"]
    a, b = scale.at(base.value or 0), scale.at(after.value or 0)
    marks = [
        Markup('<line class="ref" x1="{x}%" x2="{x}%" y1="{a}" y2="{b}"/>').format(
            x=scale.at(0), a=-9, b=LANE + 9
        ),
        Markup('<line class="bond" x1="{}%" x2="{}%" y1="{y}" y2="{y}"/>').format(a, b, y=MID),
    ]
    rows = [base, after]
    if floor is not None and floor.value is not None:
        rows.insert(0, floor)
        values.append(f"noise floor {figure(floor.value)}")
    for row in rows:
        place = scale.at(row.value or 0)
        size = 5.5 if row.system in ("base", "veneer") else 4
        inside = (row.value or 0) <= scale.high  # a noise floor may be rounded below 0
        drawn = mark(row.identity, f"{place}%", MID, size) if inside else _arrow(place, True)
        marks.append(Markup('<g class="{}">{}</g>').format(system_class(row.identity), drawn))
    return Markup(
        '<svg class="lane" height="{}" role="img"><title>KL in nats per token: {}</title>{}</svg>'
    ).format(LANE, "; ".join(values), Markup("").join(marks))


def positions(
    series: dict[str, list[Measurement]],
    label: str,
    *,
    log: bool,
    chart_id: str,
    anchor: Anchor,
    classes: Mapping[str, str] | None = None,
    off: Sequence[str] = (),
) -> Markup:
    """KL by response position: one line per system, its interval as a band; bins of several
    positions are wider. classes: of each line, as the legend has them (default: `line_classes` of
    these series). off: systems that are drawn, and hidden until the legend shows them."""
    bins = sorted({r.position for rows in series.values() for r in rows if r.position})
    widths = [1.0 if a == b else 1.9 for a, b in bins]
    centres = {}
    edge = 0.0
    for b, width in zip(bins, widths, strict=True):
        # 5 % is left for the y labels
        centres[b] = round(5 + 95 * (edge + width / 2) / sum(widths), 3)
        edge += width
    y, ticks = _vertical(series, log)
    parts = _grid(bins, centres, y, ticks)
    styles = {
        system: kind + " off" * (system in off)
        for system, kind in (classes or line_classes(series)).items()
    }
    bands, paths, dots = _curves(series, styles, centres, y, anchor)
    height = TOP + PLOT + 60
    inner = Markup(
        '<svg x="0" y="0" width="100%" height="{h}" viewBox="0 0 1000 {h}" '
        'preserveAspectRatio="none">{}</svg>'
    ).format(Markup("").join(bands + paths), h=height)
    return Markup(
        '<svg class="chart" height="{}" role="img" aria-labelledby="{id}-t {id}-d"><title '
        'id="{id}-t">{}</title>'
        '<desc id="{id}-d">{}</desc>{}{}{}</svg>'
    ).format(
        height,
        label,
        _spoken(series),
        Markup("").join(parts),
        inner,
        Markup("").join(dots),
        id=chart_id,
    )


def _grid(
    bins: Sequence[Position],
    centres: Mapping[Position, float],
    y: Callable[[float], float],
    ticks: Sequence[float],
) -> list[Markup]:
    """The lines and labels of both axes. centres: a bin's place in % of the width. y: value ->
    px."""
    parts: list[Markup] = []
    for t in ticks:
        parts.append(
            Markup('<line class="grid" x1="5%" x2="100%" y1="{y}" y2="{y}"/>').format(y=y(t))
        )
        parts.append(
            Markup('<text class="tick" x="0" y="{}">{}</text>').format(y(t) + 4, _short(t))
        )
    for b in bins:
        x = centres[b]
        lines = [str(b[0])] if b[0] == b[1] else [f"{b[0]}", f"–{b[1]}"]
        for i, text in enumerate(lines):
            parts.append(
                Markup('<text class="tick" x="{}%" y="{}" text-anchor="middle">{}</text>').format(
                    x, TOP + PLOT + 18 + 13 * i, text
                )
            )
    parts.append(
        Markup(
            '<text class="axis-name" x="50%" y="{}" text-anchor="middle">response position '
            '(tokens)</text><text class="axis-name" x="0" y="{}">KL, nats per token</text>'
        ).format(TOP + PLOT + 52, TOP - 18)
    )
    return parts


def _curves(
    series: dict[str, list[Measurement]],
    classes: Mapping[str, str],
    centres: Mapping[Position, float],
    y: Callable[[float], float],
    anchor: Anchor,
) -> tuple[list[Markup], list[Markup], list[Markup]]:
    """Bands, lines and marks of every system, the marks with links to their rows."""
    bands, paths, dots = [], [], []
    for system, rows in series.items():
        kind = classes[system]
        placed = sorted(rows, key=lambda r: r.position or (0, 0))
        rows_with_value = [r for r in placed if r.position and r.value is not None]
        ranged = [r for r in rows_with_value if r.low is not None and r.high is not None]
        upper = [f"{centres[r.position] * 10:.1f},{y(r.high or 0)}" for r in ranged if r.position]
        lower = [
            f"{centres[r.position] * 10:.1f},{y(r.low or 0)}"
            for r in reversed(ranged)
            if r.position
        ]
        if upper:
            bands.append(
                Markup('<polygon class="band {}" data-series="{}" points="{}"/>').format(
                    kind, system, " ".join(upper + lower)
                )
            )
        points = " ".join(
            f"{centres[r.position] * 10:.1f},{y(r.value or 0)}"
            for r in rows_with_value
            if r.position
        )
        paths.append(
            Markup('<polyline class="line {}" data-series="{}" points="{}"/>').format(
                kind, system, points
            )
        )
        for r in rows_with_value:
            assert r.position and r.value is not None
            place = f"{name(system)}, position {position(r.position)}"
            title = f"{place}: {figure(r.value)} nats, 95 % {interval(r)}, n = {r.n}"
            drawn = mark(r.identity, f"{centres[r.position]}%", y(r.value), 3.5)
            dots.append(
                Markup(
                    '<a href="#{}" tabindex="-1" class="{}" data-series="{}">{}<title>{}</title>'
                    "</a>"
                ).format(anchor(r), kind, system, drawn, title)
            )
    return bands, paths, dots


def gauge(row: Measurement, anchor: Anchor) -> Markup:
    """A portion as a short bar from 0 to 1 that leads to its row; what lies outside is
    cut at the ends."""
    share = min(max(row.value or 0.0, 0.0), 1.0)
    title = f"portion {figure(row.value, 2)}, 95 % interval {interval(row, 2)}"
    return Markup(
        '<a class="gauge {}" href="#{}" title="{t}" aria-label="{t}"><i '
        'style="width:{:.1f}%"></i></a>'
    ).format(system_class(row.identity), anchor(row), 100 * share, t=title)


def shade(share: float) -> int:
    """Step 0 to 6 of the scale of cells."""
    return round(6 * min(max(share, 0.0), 1.0))


def bar(shares: Sequence[tuple[str, float]]) -> Markup:
    """One bar, cut into shares."""
    x, parts = 0.0, []
    for kind, share in shares:
        parts.append(
            Markup('<rect class="part-{}" x="{:.3f}%" width="{:.3f}%" y="0" height="18"/>').format(
                kind, 100 * x, 100 * share
            )
        )
        x += share
    label = ", ".join(f"{kind} {share:.0%}" for kind, share in shares)
    return Markup('<svg class="lane bar" height="18" role="img"><title>{}</title>{}</svg>').format(
        label, Markup("").join(parts)
    )


def nice_ticks(high: float, count: int = 5, low: float = 0.0) -> list[float]:
    """Round values around 0, from about `low` to about `high`; 0 is one of them."""
    high, low = max(high, 0.0), min(low, 0.0)
    width = high - low
    if width <= 0:
        return [0.0, 1.0]
    step = 10 ** math.floor(math.log10(width / count))
    step *= next(m for m in (1, 2, 5, 10) if step * m * count >= width * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def _vertical(series: dict[str, list[Measurement]], log: bool):
    """(value -> y in px, ticks). On the log scale what is at or below the lowest decade
    lies on its line.

    The noise floor may lie decades below all else; it gets one decade of its own, so that it does
    not flatten the rest.
    """
    rows = [r for system_rows in series.values() for r in system_rows]
    high = max((x for r in rows for x in (r.value, r.high) if x is not None), default=1.0)
    if not log or high <= 0:
        ticks = nice_ticks(linear_top(series)[0])
        return (lambda x: round(TOP + PLOT * (1 - min(max(x / ticks[-1], 0), 1)), 2)), ticks
    positive = [r.value for r in rows if r.value is not None and r.value > 0] or [high]
    above = [
        r.value for r in rows if r.value is not None and r.value > 0 and r.system != "aligned"
    ] or positive
    top = math.ceil(math.log10(high) - 1e-9)
    lowest = math.floor(math.log10(min(above))) - (min(positive) < min(above))
    bottom = min(max(lowest, top - 6), top - 1)

    def place(x: float) -> float:
        share = (math.log10(x) - bottom) / (top - bottom) if x > 0 else 0
        return round(TOP + PLOT * (1 - max(share, 0)), 2)

    return place, [10.0**e for e in range(bottom, top + 1)]


def _spoken(series: dict[str, list[Measurement]]) -> str:
    parts = []
    for system, rows in series.items():
        placed = sorted(rows, key=lambda r: r.position or (0, 0))
        rows_with_value = [r for r in placed if r.value is not None]
        if rows_with_value:
            a, b = rows_with_value[0], rows_with_value[-1]
            first = f"{name(system)}: {figure(a.value)} at position {position(a.position)}"
            parts.append(f"{first}, {figure(b.value)} at {position(b.position)}")
    return "Nats per token. " + "; ".join(parts) + ". The table below the chart has every figure."


def _short(x: float) -> str:
    text = (
        f"{x:g}"
        if x == 0 or 1e-3 <= abs(x) < 1e4
        else f"{x:.0e}".replace("e-0", "e-").replace("e+0", "e")
    )
    return text.replace("-", "−")


def _arrow(x: float, right: bool, y: float = MID) -> Markup:
    points = "-8,-4 0,0 -8,4" if right else "8,-4 0,0 8,4"
    return Markup(
        '<svg x="{}%" y="{}" width="1" height="1" overflow="visible"><polygon class="disc" '
        'points="{}"/></svg>'
    ).format(x, y, points)
