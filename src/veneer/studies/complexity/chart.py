"""A chart of score against bits: the bits on a logarithmic axis, one colour and shape per view,
dominated programs hollow, and the published formula's bits as ghosts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from veneer.foundation.results import Measurement
from veneer.report.charts import Scale, nice_ticks
from veneer.report.visible import visible
from veneer.report.words import Anchor, digits_of, figure, interval, name
from veneer.studies.complexity.front import Point, dominated
from veneer.studies.complexity.names import CONTROLS

TOP, PLOT, BELOW = 12, 220, 52  # px: above the plot, the plot, its labels
EMPTY_AT = 9.0  # % of the width at which the empty program stands
LOWEST = -0.5  # of the scale; a lower score lies on its lowest line
AXIS = (15.0, 97.0)  # % of the width of the logarithmic axis
SHAPES = {
    "head": None,  # a disc
    "empty": ((-0.45, -1.1), (0.45, -1.1), (0.45, 1.1), (-0.45, 1.1)),
    "text": ((0, -1.1), (1.05, 0.85), (-1.05, 0.85)),
    "lora": ((-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)),
    "data": ((0, -1.2), (1.2, 0), (0, 1.2), (-1.2, 0)),
    "shuffled": ((-1.05, -0.85), (1.05, -0.85), (0, 1.1)),
    "bias": ((-1.2, -0.45), (1.2, -0.45), (1.2, 0.45), (-1.2, 0.45)),
}


@dataclass(frozen=True)
class Placed:
    """A program's score, the bits of its file and those of the published formula."""

    row: Measurement
    view: str
    bits: int
    published: int


def front(placed: Sequence[Placed]) -> list[bool]:
    """Whether each program is on the front; a control never is."""
    own = [p for p in placed if p.view not in CONTROLS]
    points = [Point(p.bits, p.row.value or 0.0, 0.0, 0.0) for p in own]
    kept = {p.row.system for p, out in zip(own, dominated(points), strict=True) if not out}
    return [p.row.system in kept for p in placed]


def chart(
    placed: Sequence[Placed], references: Mapping[str, float], anchor: Anchor, *, up: bool = True
) -> Markup:
    """references: name of a system without a program -> its score, as a dotted line. up: whether
    more is better; otherwise nothing is on a front."""
    on_front = front(placed) if up else [False] * len(placed)
    seen = [b for p in placed for b in (p.bits, p.published) if b]
    low, high = math.floor(math.log2(min(seen))), math.ceil(math.log2(max(seen)) + 0.01)
    values = [x for p in placed for x in (p.row.value, p.row.low, p.row.high) if x is not None]
    top = max([1.0, *(min(v, 1.0) for v in values), *references.values()])
    scale = Scale(max(LOWEST, min([0.0, *values])), top)

    def x(bits: int) -> float:
        share = (math.log2(bits) - low) / (high - low) if bits else 0.0
        return round(AXIS[0] + (AXIS[1] - AXIS[0]) * share, 2) if bits else EMPTY_AT

    def y(value: float) -> float:
        share = (min(max(value, scale.low), scale.high) - scale.low) / (scale.high - scale.low)
        return round(TOP + PLOT * (1 - share), 2)

    parts = [_grid(t, y) for t in nice_ticks(top, 5)]
    parts += [_bits_tick(e, x) for e in _exponents(low, high)]
    parts += [
        Markup(
            '<line class="ref sys-{s}" x1="6%" x2="100%" y1="{y}" y2="{y}"><title>{s}: {v}</title>'
            "</line>"
        ).format(s=s, y=y(v), v=figure(v))
        for s, v in references.items()
    ]
    parts.append(_stairs([p for p, kept in zip(placed, on_front, strict=True) if kept], x, y))
    parts += [_ghost(p, x, y) for p in placed if p.published > p.bits]
    parts += [_program(p, kept, x, y, anchor) for p, kept in zip(placed, on_front, strict=True)]
    parts.append(
        Markup(
            '<text class="axis-name" x="{}%" y="{}" text-anchor="middle">bytes of the program file '
            "(logarithmic)</text>"
        ).format(sum(AXIS) / 2, TOP + PLOT + 42)
    )
    spoken = "; ".join(
        f"{visible(p.row.system, 60)}: {p.bits / 8:.0f} bytes, {figure(p.row.value)}"
        for p in placed
    )
    return Markup(
        '<svg class="chart bits" height="{}" role="img"><title>{}</title>{}</svg>'
    ).format(TOP + PLOT + BELOW, spoken, Markup("").join(parts))


def sign(view: str) -> Markup:
    """A view's mark alone, for the legend."""
    return Markup(
        '<svg class="sign view-{}" width="16" height="14" aria-hidden="true">{}</svg>'
    ).format(view, _mark(view, "8", 7, True))


def _exponents(low: int, high: int) -> list[int]:
    step = max(1, math.ceil((high - low) / 6))
    return list(range(low + (-low) % step, high + 1, step))


def _bits_tick(exponent: int, x) -> Markup:
    size = 2.0 ** (exponent - 3)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024 or unit == "GB":
            break
        size /= 1024
    return Markup(
        '<line class="grid" x1="{x}%" x2="{x}%" y1="{a}" y2="{b}"/><text class="tick" x="{x}%" '
        'y="{t}" text-anchor="middle">{size:g} {unit}</text>'
    ).format(x=x(2**exponent), a=TOP, b=TOP + PLOT, t=TOP + PLOT + 18, size=size, unit=unit)


def _grid(value: float, y) -> Markup:
    return Markup(
        '<line class="grid" x1="6%" x2="100%" y1="{y}" y2="{y}"/><text class="tick" x="0" y="{t}">'
        "{v:g}</text>"
    ).format(y=y(value), t=y(value) + 4, v=value)


def _stairs(placed: Sequence[Placed], x, y) -> Markup:
    """The front as steps."""
    corners: list[tuple[float, float]] = []
    for p in sorted(placed, key=lambda p: p.bits):
        at = (x(p.bits), y(p.row.value or 0.0))
        if corners:
            corners.append((at[0], corners[-1][1]))
        corners.append(at)
    if corners:
        corners.append((100.0, corners[-1][1]))
    points = " ".join(f"{10 * a:.1f},{b}" for a, b in corners)
    height = TOP + PLOT + BELOW
    return Markup(
        '<svg width="100%" height="{h}" viewBox="0 0 1000 {h}" preserveAspectRatio="none">'
        '<polyline class="line front" points="{}"/></svg>'
    ).format(points, h=height)


def _ghost(p: Placed, x, y) -> Markup:
    """The same score at the bits of the published formula."""
    at = y(p.row.value or 0.0)
    return Markup(
        '<g class="view-{v} ghost" data-series="{v}">{}<title>{}: {:,.0f} bytes by the published '
        "formula</title></g>"
    ).format(
        _mark(p.view, f"{x(p.published)}%", at, False),
        visible(p.row.system, 60),
        p.published / 8,
        v=p.view,
    )


def _program(p: Placed, kept: bool, x, y, anchor: Anchor) -> Markup:
    """A mark with its whisker that leads to its row."""
    row, whisker, at = p.row, Markup(""), f"{x(p.bits)}%"
    if row.low is not None and row.high is not None:
        whisker = Markup('<line class="whisker" x1="{x}" x2="{x}" y1="{}" y2="{}"/>').format(
            y(row.low), y(row.high), x=at
        )
    title = (
        f"{name(row.system)}: {p.bits / 8:,.0f} bytes, {figure(row.value, digits_of(row))}, "
        f"95 % interval {interval(row)}, n = {row.n}"
    )
    return Markup(
        '<a href="#{}" tabindex="-1" class="view-{v}" data-series="{v}">{}{}<title>{}</title></a>'
    ).format(anchor(row), whisker, _mark(p.view, at, y(row.value or 0.0), kept), title, v=p.view)


def _mark(view: str, x: str, y: float, filled: bool, r: float = 5) -> Markup:
    kind = "disc" if filled else "ring"
    shape = SHAPES.get(view)
    if shape is None:
        return Markup('<circle class="{}" cx="{}" cy="{}" r="{}"/>').format(kind, x, y, r)
    points = " ".join(f"{round(a * r, 2)},{round(b * r, 2)}" for a, b in shape)
    return Markup(
        '<svg x="{}" y="{}" width="1" height="1" overflow="visible"><polygon class="{}" '
        'points="{}"/></svg>'
    ).format(x, y, kind, points)
