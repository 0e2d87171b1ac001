"""ROC curves as inline SVG."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from veneer.foundation.results import Measurement, is_finite
from veneer.report.words import figure, interval, name

SIZE, LEFT, BELOW, ABOVE = 300, 58, 44, 8  # of the plot and of what stands around it, px
TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def curve_of(row: Measurement) -> list[tuple[float, float]]:
    """The corners of a row's curve, (harmless, harmful) shares; empty where it has none that can be
    drawn."""
    points = row.fact("roc")
    if not isinstance(points, list) or not all(map(_is_point, points)):
        return []
    return [(float(x), float(y)) for x, y in points]


def _is_point(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(is_finite(x) and 0 <= x <= 1 for x in value)
    )


def roc_chart(rows: Mapping[str, Measurement], classes: Mapping[str, str], title: str) -> Markup:
    """One curve per row; the diagonal is a score that tells nothing. rows: by what the curve is
    called. classes: the CSS classes of each."""
    width, height = LEFT + SIZE + 10, ABOVE + SIZE + BELOW
    parts = [_grid()]
    for label, row in rows.items():
        points = " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in curve_of(row))
        about = f"{name(label)}: AUROC {figure(row.value, 2)} ({interval(row, 2)})"
        parts.append(
            Markup(
                '<polyline class="line {}" data-series="{}" points="{}"><title>{}</title>'
                "</polyline>"
            ).format(classes[label], label, points, about)
        )
    return Markup(
        '<svg class="roc" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img">'
        "<title>{}</title>{}</svg>"
    ).format(title, Markup("").join(parts), w=width, h=height)


def _x(share: float) -> float:
    return LEFT + SIZE * share


def _y(share: float) -> float:
    return ABOVE + SIZE * (1 - share)


def _grid() -> Markup:
    parts = []
    for t in TICKS:
        parts.append(
            Markup(
                '<line class="grid" x1="{l}" x2="{r}" y1="{y}" y2="{y}"/>'
                '<line class="grid" x1="{x}" x2="{x}" y1="{t}" y2="{b}"/>'
                '<text class="tick" x="{x}" y="{below}" text-anchor="middle">{text}</text>'
                '<text class="tick" x="{before}" y="{beside}" text-anchor="end">{text}</text>'
            ).format(
                l=_x(0),
                r=_x(1),
                t=_y(1),
                b=_y(0),
                x=_x(t),
                y=_y(t),
                below=_y(0) + 16,
                before=LEFT - 7,
                beside=_y(t) + 4,
                text=f"{t:g}",
            )
        )
    parts.append(
        Markup(
            '<line class="ref" x1="{}" y1="{}" x2="{}" y2="{}"/>'
            '<text class="axis-name" x="{middle}" y="{bottom}" text-anchor="middle">harmless '
            "prompts above the threshold</text>"
            '<text class="axis-name" transform="translate(11 {centre}) rotate(-90)" '
            'text-anchor="middle">harmful prompts above it</text>'
        ).format(
            _x(0),
            _y(0),
            _x(1),
            _y(1),
            middle=_x(0.5),
            bottom=_y(0) + 36,
            centre=_y(0.5),
        )
    )
    return Markup("").join(parts)
