"""A chart of one metric over alpha: constants on an axis that begins with base at 0, schedules and
other systems as marks beside."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from veneer.foundation.results import Measurement
from veneer.report.charts import Scale, nice_ticks
from veneer.report.marks import mark, system_class
from veneer.report.tables import Group, identities
from veneer.report.visible import visible
from veneer.report.words import Anchor, digits_of, figure, interval, name
from veneer.studies.transfer.names import SHIFTED, constant_alpha
from veneer.studies.transfer.order import order

TOP, PLOT, BELOW = 12, 180, 74  # px: above the plot, the plot, its labels
AXIS = (9.0, 52.0)  # % of the width that the constants take
BESIDE = (60.0, 96.0)  # % that the others take
Placed = tuple[float, str, Measurement]  # place in %, label, row


def sweep(group: Group, anchor: Anchor) -> Markup:
    """group: one metric of one task, its systems' rows (`Group.systems`)."""
    systems = order(identities([group]))
    lines = {s: r for s in systems if (r := group.systems[s]).value is not None}
    constants, others = _constants(lines), _others(lines)
    rows = [r for _, _, r in (*constants, *others)]
    ticks = nice_ticks(
        max((x for r in rows for x in (r.value, r.high) if x is not None), default=1.0), 4
    )
    scale = Scale(0.0, ticks[-1])

    def y(value: float) -> float:
        share = (min(max(value, scale.low), scale.high) - scale.low) / (scale.high - scale.low)
        return round(TOP + PLOT * (1 - share), 2)

    parts = [
        Markup(
            '<line class="grid" x1="6%" x2="100%" y1="{y}" y2="{y}"/><text class="tick" x="0" '
            'y="{t}">{}</text>'
        ).format(f"{t:g}", y=y(t), t=y(t) + 4)
        for t in ticks
    ]
    parts += [
        Markup('<line class="ref {}" x1="6%" x2="100%" y1="{y}" y2="{y}"/>').format(
            system_class(lines[s].identity), y=y(lines[s].value or 0.0)
        )
        for s in ("base", "aligned")
        if s in lines
    ]
    points = " ".join(f"{10 * x:.1f},{y(r.value or 0.0)}" for x, _, r in constants)
    height = TOP + PLOT + BELOW
    parts.append(
        Markup(
            '<svg width="100%" height="{h}" viewBox="0 0 1000 {h}" '
            'preserveAspectRatio="none"><polyline class="line sys-variant" points="{}"/></svg>'
        ).format(points, h=height)
    )
    parts += [_mark(x, row, y, anchor) for x, _, row in (*constants, *others)]
    parts += _labels(constants, others)
    title = Markup("<title>{} on {} over alpha: {}</title>").format(
        name(group.metric), visible(group.task, 80), _spoken(lines)
    )
    return Markup('<svg class="chart sweep" height="{}" role="img">{}{}</svg>').format(
        height, title, Markup("").join(parts)
    )


def _labels(constants: Sequence[Placed], others: Sequence[Placed]) -> list[Markup]:
    """The names below the plot."""
    parts = [
        Markup('<text class="tick" x="{}%" y="{}" text-anchor="middle">{}</text>').format(
            x, TOP + PLOT + 18, text
        )
        for x, text, _ in constants
    ]
    parts += [
        Markup(
            '<svg x="{}%" y="{}" width="1" height="1" overflow="visible"><text class="tick" '
            'transform="rotate(-38)" text-anchor="end">{}'
            "</text></svg>"
        ).format(x, TOP + PLOT + 18, visible(text, 24))
        for x, text, _ in others
    ]
    middle = sum(AXIS) / 2
    parts.append(
        Markup(
            '<text class="axis-name" x="{}%" y="{}" text-anchor="middle">constant alpha</text>'
        ).format(middle, TOP + PLOT + 40)
    )
    return parts


def _constants(lines: dict[str, Measurement]) -> list[Placed]:
    """Base, which is alpha 0, and the constants, on their axis."""
    alphas = [
        (0.0 if s == "base" else constant_alpha(row.identity), row) for s, row in lines.items()
    ]
    axis = sorted(((a, row) for a, row in alphas if a is not None), key=lambda pair: pair[0])
    low, high = min((a for a, _ in axis), default=0.0), max((a for a, _ in axis), default=1.0)
    width = (AXIS[1] - AXIS[0]) / (high - low) if high > low else 0.0
    return [
        (round(AXIS[0] + width * (a - low), 2), f"{a:g}" if r.system != "base" else "0 (base)", r)
        for a, r in axis
    ]


def _others(lines: dict[str, Measurement]) -> list[Placed]:
    """Schedules, the baked head, the own veneer, the aligned model and the small ones, in slots."""
    rows = [
        (s, row) for s, row in lines.items() if s != "base" and constant_alpha(row.identity) is None
    ]
    step = (BESIDE[1] - BESIDE[0]) / max(1, len(rows) - 1)
    return [
        (round(BESIDE[0] + step * i, 2), str(row.identity.get("alpha") or name), row)
        for i, (name, row) in enumerate(rows)
    ]


def _mark(x: float, row: Measurement, y, anchor: Anchor) -> Markup:
    """A mark with its whisker that leads to its row."""
    whisker = Markup("")
    if row.low is not None and row.high is not None:
        whisker = Markup('<line class="whisker" x1="{x}%" x2="{x}%" y1="{}" y2="{}"/>').format(
            y(row.low), y(row.high), x=x
        )
    title = (
        f"{name(row.system)}: {figure(row.value, digits_of(row))}, 95 % interval {interval(row)}, "
        f"n = {row.n}"
    )
    return Markup('<a href="#{}" tabindex="-1" class="{}">{}{}<title>{}</title></a>').format(
        anchor(row),
        system_class(row.identity),
        whisker,
        mark(row.identity, f"{x}%", y(row.value or 0.0), 5),
        title,
    )


def _spoken(lines: dict[str, Measurement]) -> str:
    return ", ".join(f"{visible(s, 40)} {figure(r.value)}" for s, r in lines.items())


def drawn(group: Group) -> bool:
    """Whether there is a sweep to draw: base or an alpha, and at least two systems with a value."""
    drawable = [row.identity for row in group.systems.values() if row.value is not None]
    return len(drawable) > 1 and any(system.kind == SHIFTED for system in drawable)
