"""A sign a family of systems: they differ in shape as well as in colour, so that no chart
depends on colour."""

from __future__ import annotations

from markupsafe import Markup

from veneer.report.systems import System, family

SHAPES = {  # outlines around 0, 0 with a radius of 1; a ring and discs are circles
    "aligned": ((0, -1.15), (1.15, 0), (0, 1.15), (-1.15, 0)),
    "control": ((-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)),
    "baseline": ((0, -1.05), (1.05, 0.85), (-1.05, 0.85)),
}


def mark(system: System, x: str, y: float, r: float) -> Markup:
    """base a ring, veneer a disc, its variants a smaller disc with a hole, aligned a diamond,
    baselines a triangle, controls a square."""
    kind = family(system)
    if kind == "base":
        return Markup('<circle class="ring" cx="{}" cy="{}" r="{}"/>').format(x, y, r)
    if kind == "veneer":
        return Markup('<circle class="disc" cx="{}" cy="{}" r="{}"/>').format(x, y, r)
    if kind == "variant":
        return Markup('<circle class="ring" cx="{}" cy="{}" r="{}"/>').format(
            x, y, round(0.85 * r, 2)
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
    return f"sys-{family(system)}"
