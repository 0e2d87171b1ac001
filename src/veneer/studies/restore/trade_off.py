"""The trade-off of a restoration's settings, drawn: refusals of harmful prompts against what they
cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from veneer.foundation.results import Measurement
from veneer.report import charts
from veneer.report.marks import mark
from veneer.report.words import Anchor, figure, interval, name

REFERENCES = ("compromised", "aligned")
HEIGHT = 300  # height of a chart, px
TOP, BOTTOM = 28, 44  # room for letters, px
AXIS_NAME = 14  # height of the vertical axis's name above the plot, px
NEAR = 0.035  # points as near as that share a label
# of a chart on a telephone and of a letter, px: labels apart there are apart on wider charts too
WIDTH, LETTER = 310, 6.6
# offsets of a label from its point, px downwards, in the order in which they are tried
OFFSETS = (-9, 17, -23, 31, -37, 45, -51, 59)


@dataclass(frozen=True)
class Point:
    """One setting of a method on the validation part. label: alpha, and the rank where it is cut.
    constant: alpha is one number and the rank is full, so that the point is on the curve's line."""

    label: str
    refused: Measurement
    over: Measurement
    capability: Measurement
    kind: str  # "chosen", "dense", "rank", or a reference's name
    constant: bool = True

    @property
    def series(self) -> str:
        """Its name in the legend."""
        return "dense" if self.kind == "chosen" and self.constant else self.kind

    def at(self, across: str) -> Measurement:
        return self.over if across == "over" else self.capability


@dataclass(frozen=True)
class Label:
    """Text beside the point at x (%), y (px), moved by dx, dy (px)."""

    text: str
    x: float
    y: float
    dx: float
    dy: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, right, top and bottom in px, on the chart of a telephone."""
        at, width = WIDTH * self.x / 100 + self.dx, LETTER * len(self.text)
        left = at - width if self.dx < 0 else at
        return left, left + width, self.y + self.dy - 11, self.y + self.dy + 2

    @property
    def inside(self) -> bool:
        left, right, top, bottom = self.box
        return (
            left >= 0.09 * WIDTH
            and right <= WIDTH
            and top >= AXIS_NAME
            and bottom <= HEIGHT - BOTTOM + 4
        )

    def over(self, other: Label) -> bool:
        a, b = self.box, other.box
        return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]

    def drawn(self) -> Markup:
        return Markup(
            '<text class="alpha" x="{:.2f}%" y="{:.1f}" dx="{}" text-anchor="{}">{}</text>'
        ).format(self.x, self.y + self.dy, self.dx, "end" if self.dx < 0 else "start", self.text)


@dataclass(frozen=True)
class Curve:
    """All settings of a method. points: those of the dense veneer in the order of alpha, then the
    others."""

    method: str
    points: list[Point]


def draw(
    curve: Curve, references: Sequence[Point], across: str, anchor: Anchor, title: str
) -> Markup:
    """Refusals of harmful prompts (up) against over-refusal or capability (across), both from 0 to
    1: one mark per setting, thin whiskers for its 95 % intervals, a line along alpha at full rank.
    """
    parts = [_grid(across)]
    line = [
        f"{10 * _x(p.at(across).value):.1f},{_y(p.refused.value):.1f}"
        for p in curve.points
        if p.constant
    ]
    for p in [*references, *curve.points]:
        parts.append(_whiskers(p, across))
    for p in [*references, *sorted(curve.points, key=lambda p: p.kind == "chosen")]:
        parts.append(_mark(p, across, anchor))
    parts += [one.drawn() for one in labels(curve.points, across)]
    drawn = Markup(
        '<svg x="0" y="0" width="100%" height="{h}" viewBox="0 0 1000 {h}" '
        'preserveAspectRatio="none">{}</svg>'
    ).format(
        Markup('<polyline class="line sys-veneer" data-series="dense" points="{}"/>').format(
            " ".join(line)
        ),
        h=HEIGHT,
    )
    return Markup(
        '<svg class="chart tradeoff" height="{}" role="img"><title>{}</title>{}{}</svg>'
    ).format(HEIGHT, title, drawn, Markup("").join(parts))


def labels(points: Sequence[Point], across: str) -> list[Label]:
    """The labels, none over another on the chart of a telephone; points that lie
    together share one."""
    groups: list[list[Point]] = []
    for p in points:
        near = (
            g
            for g in groups
            if abs((g[0].at(across).value or 0) - (p.at(across).value or 0)) < NEAR
            and abs((g[0].refused.value or 0) - (p.refused.value or 0)) < NEAR
        )
        group = next(near, None)
        if group is None:
            groups.append([p])
        else:
            group.append(p)
    placed: list[Label] = []
    for g in groups:
        text, x, y = (
            _joined([p.label for p in g]),
            _x(g[0].at(across).value),
            _y(g[0].refused.value),
        )
        places = [
            Label(text, x, y, dx, dy)
            for dy in OFFSETS
            for dx in ((-13, 13) if x > 60 else (13, -13))
        ]
        free = (
            one for one in places if one.inside and not any(one.over(other) for other in placed)
        )
        placed.append(next(free, places[0]))
    return placed


def _joined(texts: Sequence[str]) -> str:
    shown = ", ".join(texts[:4])
    return shown + (f" +{len(texts) - 4}" if len(texts) > 4 else "")


def _x(value: float | None) -> float:
    return 9 + 84 * min(max(value or 0.0, 0.0), 1.0)


def _y(value: float | None) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - min(max(value or 0.0, 0.0), 1.0))


def _grid(across: str) -> Markup:
    parts = []
    for t in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(
            Markup('<line class="grid" x1="9%" x2="93%" y1="{y}" y2="{y}"/>').format(y=_y(t))
        )
        parts.append(
            Markup('<line class="grid" x1="{x}%" x2="{x}%" y1="{}" y2="{}"/>').format(
                _y(1), _y(0), x=_x(t)
            )
        )
        parts.append(
            Markup('<text class="tick" x="7.5%" y="{}" text-anchor="end">{}</text>').format(
                _y(t) + 4, f"{t:g}"
            )
        )
        parts.append(
            Markup('<text class="tick" x="{}%" y="{}" text-anchor="middle">{}</text>').format(
                _x(t), _y(0) + 17, f"{t:g}"
            )
        )
    axis = "share of safe prompts refused" if across == "over" else "capability"
    parts.append(
        Markup(
            '<text class="axis-name" x="51%" y="{}" text-anchor="middle">{}</text><text '
            'class="axis-name" x="0" y="12">share of harmful prompts refused</text>'
        ).format(HEIGHT - 6, axis)
    )
    return Markup("").join(parts)


def _whiskers(p: Point, across: str) -> Markup:
    kind = charts.system_class(p.kind if p.kind in REFERENCES else "veneer")
    other = p.at(across)
    x, y = _x(other.value), _y(p.refused.value)
    lines = []
    if p.refused.low is not None and p.refused.high is not None:
        lines.append(
            Markup('<line x1="{x}%" x2="{x}%" y1="{:.1f}" y2="{:.1f}"/>').format(
                _y(p.refused.low), _y(p.refused.high), x=x
            )
        )
    if other.low is not None and other.high is not None:
        lines.append(
            Markup('<line x1="{:.2f}%" x2="{:.2f}%" y1="{y}" y2="{y}"/>').format(
                _x(other.low), _x(other.high), y=y
            )
        )
    strong = " strong" if p.kind in ("chosen", *REFERENCES) else ""
    return Markup('<g class="spread {}{}" data-series="{}">{}</g>').format(
        kind, strong, p.series, Markup("").join(lines)
    )


def _mark(p: Point, across: str, anchor: Anchor) -> Markup:
    other = p.at(across)
    system = p.kind if p.kind in REFERENCES else {"rank": "veneer-rank-1"}.get(p.kind, "veneer")
    texts = [
        p.label,
        f"refuses harmful {figure(p.refused.value, 2)} ({interval(p.refused, 2)})",
        f"refuses safe {figure(p.over.value, 2)} ({interval(p.over, 2)})",
        (
            f"{name(p.capability.metric)} {figure(p.capability.value, 2)} "
            f"({interval(p.capability, 2)})"
        ),
    ]
    x, y = f"{_x(other.value)}%", _y(p.refused.value)
    drawn = mark(system, x, y, {"chosen": 6.5, "dense": 4}.get(p.kind, 5))
    if p.kind == "chosen":
        drawn += Markup('<circle class="choice" cx="{}" cy="{}" r="10.5"/>').format(x, y)
    return Markup(
        '<a href="#{}" tabindex="-1" class="{}" data-series="{}"><title>{}</title>{}</a>'
    ).format(anchor(p.refused), charts.system_class(system), p.series, "; ".join(texts), drawn)
