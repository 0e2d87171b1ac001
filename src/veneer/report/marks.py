"""A sign for every kind of system: they differ in shape as well as in colour, so that no chart
depends on colour."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from veneer.foundation.results import Measurement
from veneer.foundation.system_id import SystemId
from veneer.report.systems import MAIN, System, family, identity, shape


def _star(points: int, inner: float, turn: float = -90.0) -> tuple[tuple[float, float], ...]:
    """A star around 0, 0 with a radius of 1.15 and an inner radius; `inner` 0 is a polygon."""
    steps = 2 * points if inner else points
    return tuple(
        (
            round((inner if inner and i % 2 else 1.15) * math.cos(math.radians(angle)), 3),
            round((inner if inner and i % 2 else 1.15) * math.sin(math.radians(angle)), 3),
        )
        for i, angle in ((i, turn + 360 * i / steps) for i in range(steps))
    )


SHAPES = {  # outlines around 0, 0 with a radius of 1; a ring and discs are circles
    "diamond": ((0, -1.15), (1.15, 0), (0, 1.15), (-1.15, 0)),
    "square": ((-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)),
    "triangle": ((0, -1.05), (1.05, 0.85), (-1.05, 0.85)),
    "down": ((0, 1.05), (1.05, -0.85), (-1.05, -0.85)),
    "pentagon": _star(5, 0),
    "star": _star(5, 0.5),
    "plus": _star(4, 0.45),
    "cross": _star(4, 0.45, -45.0),
}
RADII = {"disc": 1.0, "ring": 1.0, "small ring": 0.85}


def mark(system: System, x: str, y: float, r: float) -> Markup:
    """base a ring, veneer a disc, aligned a diamond; every other kind has the shape that
    `systems.shape` gives. x: a percentage; y, r: px."""
    kind = shape(system)
    if kind in RADII:
        return Markup('<circle class="{}" cx="{}" cy="{}" r="{}"/>').format(
            "disc" if kind == "disc" else "ring", x, y, round(RADII[kind] * r, 2)
        )
    points = " ".join(f"{round(a * r, 2)},{round(b * r, 2)}" for a, b in SHAPES[kind])
    # a nested svg takes a percentage as its place, a transform does not
    return Markup(
        '<svg x="{}" y="{}" width="1" height="1" overflow="visible"><polygon class="disc" '
        'points="{}"/></svg>'
    ).format(x, y, points)


def sign(system: System, kind: str | None = None) -> Markup:
    """The mark alone, for legends and table heads; `kind` replaces its CSS class."""
    return Markup('<svg class="sign {}" width="16" height="14" aria-hidden="true">{}</svg>').format(
        kind or system_class(system), mark(system, "8", 7, 5)
    )


def system_class(system: System) -> str:
    """The CSS classes of a system's colour: those of its family, and of its shape."""
    return f"sys-{family(system)} mark-{shape(system).replace(' ', '-')}"


def squashing(series: Mapping[str, Sequence[Measurement]]) -> list[str]:
    """Names of the controls beside whose values those of all other systems look small: a chart
    hides them at first, so that its scale fits the rest."""
    most = {
        name: max((x for r in rows for x in (r.value, r.high) if x is not None), default=0.0)
        for name, rows in series.items()
    }
    controls = [s for s, rows in series.items() if family(_of_line(s, rows)) == "control"]
    rest = max((most[s] for s in series if s not in controls), default=0.0)
    return [s for s in controls if rest > 0 and most[s] > 1.15 * rest]


def linear_top(series: Mapping[str, Sequence[Measurement]]) -> tuple[float, bool]:
    """The highest number on a linear scale, and whether a band reaches beyond it: the interval of
    a few prompts can be so long that every line would look flat."""
    rows = [r for system_rows in series.values() for r in system_rows]
    high = max((x for r in rows for x in (r.value, r.high) if x is not None), default=1.0)
    most = 3 * max((r.value for r in rows if r.value is not None), default=high)
    return (most, True) if 0 < most < high else (high, False)


def line_classes(series: Mapping[str, Sequence[Measurement]]) -> dict[str, str]:
    """The CSS classes of each line of a chart: those beside base, veneer and aligned differ in
    colour and dashes, also a second one of the same family (compromised beside base)."""
    systems = {name: _of_line(name, rows) for name, rows in series.items()}
    first: dict[str, str] = {}
    for name, system in systems.items():
        first.setdefault(family(system), name)
    leads = {first[f] for f in MAIN if f in first}
    others = [name for name in systems if name not in leads]
    return {
        name: system_class(system) + (f" alt{others.index(name) % 6}" if name in others else "")
        for name, system in systems.items()
    }


def _of_line(name: str, rows: Sequence[Measurement]) -> SystemId:
    return rows[0].identity if rows else identity(name)
