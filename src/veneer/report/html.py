"""Tables of measurements as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

from veneer.foundation.results import Measurement
from veneer.report import charts
from veneer.report.systems import System
from veneer.report.tables import Group, columns, identities
from veneer.report.visible import visible
from veneer.report.words import PLAIN_UNITS, Anchor, interval, linked, minus_signs, name, position

EMPTY = Markup('<td class="num empty"><span class="vh">not measured</span></td>')
TOO_WIDE = Markup(
    '<p class="on-paper mute">This table is wider than paper: its rows stand under All results.</p>'
)
WIDE = 7  # columns of systems beyond which a table does not fit on paper


def cell(row: Measurement | None, anchor: Anchor, digits: int | None = None) -> Markup:
    """A value, its interval below it; or the reason why there is none."""
    if row is None:
        return EMPTY
    below = Markup("")
    if row.value is None:
        below = Markup('<small class="why">{}</small>').format(
            visible(minus_signs(row.note or "not defined"), 160)
        )
    elif row.low is not None and row.high is not None:
        below = Markup("<small>{}</small>").format(interval(row, digits, dash=True))
    return Markup('<td class="num">{}{}</td>').format(linked(row, anchor, digits), below)


def head(text: str, system: System | None = None, *, number: bool = True) -> Markup:
    """A column's head; a system gets its sign."""
    sign = charts.sign(system) if system is not None else Markup("")
    return Markup('<th scope="col"{}>{}{}</th>').format(
        Markup(' class="num"' if number else ""), sign, visible(text, 60)
    )


def scrolled(table: Markup, label: str, *, wide: bool = False) -> Markup:
    """A table that scrolls sideways in itself, reachable by keyboard; one that is too wide for
    paper is not printed."""
    return Markup(
        '<div class="scroll{}" role="region" tabindex="0" aria-label="{}">{}</div>{}'
    ).format(Markup(" wide") if wide else "", label, table, TOO_WIDE if wide else "")


def pivot(
    groups: Sequence[Group],
    caption: str,
    anchor: Anchor,
    wanted: Iterable[str] | None = None,
    *,
    merged: bool = False,
) -> Markup:
    """One row per group, one column per system; empty columns are dropped. merged: metrics that
    read the same in every cell share a row, whose figures lead to those of the first."""
    systems = columns(groups) if wanted is None else list(wanted)
    identity_by_name = identities(groups)
    split, place, judge = (
        any(getattr(g, f) is not None for g in groups) for f in ("split", "position", "judge")
    )
    heads = [head("Task", number=False), head("Metric", number=False)]
    heads += [head("Split", number=False)] * split + [head("Position", number=False)] * place
    heads += (
        [head(s, identity_by_name.get(s, s)) for s in systems]
        + [head("n")]
        + [head("Judge", number=False)] * judge
    )
    lines = []
    for same in _alike(groups) if merged else [[g] for g in groups]:
        g, names = same[0], Markup("; ").join(map(metric, same))
        cells = [Markup('<th scope="row">{}</th><td>{}</td>').format(visible(g.task, 80), names)]
        cells += [Markup("<td>{}</td>").format(visible(g.split or "–", 60))] * split
        cells += [Markup("<td>{}</td>").format(position(g.position))] * place
        cells += [cell(g.systems.get(s), anchor) for s in systems]
        cells.append(Markup('<td class="num">{}</td>').format(g.n))
        cells += [Markup("<td>{}</td>").format(visible(g.judge or "–", 60))] * judge
        lines.append(Markup("<tr>{}</tr>\n").format(Markup("").join(cells)))
    table = Markup(
        '<table class="pivot"><caption><span>{}</span></caption><thead><tr>{}</tr></thead>\n'
        "<tbody>{}</tbody></table>"
    ).format(caption, Markup("").join(heads), Markup("").join(lines))
    return scrolled(table, caption, wide=len(systems) > WIDE)


def _alike(groups: Sequence[Group]) -> list[list[Group]]:
    """Lists of groups that have the same figures and differ only in their metric."""
    by_figures: dict[tuple, list[Group]] = {}
    for g in groups:
        figures = tuple((s, r.value, r.low, r.high, r.n) for s, r in g.systems.items())
        key = (g.study, g.task, g.of, g.split, g.position, g.judge, g.first.unit, figures)
        by_figures.setdefault(key, []).append(g)
    return list(by_figures.values())


def metric(group: Group) -> Markup:
    """The measured quantity: metric, its base metric, and unit."""
    text = escape(name(group.metric))
    if group.of:
        text += Markup(' <span class="mute">of {}</span>').format(name(group.of))
    unit = group.first.unit
    if unit not in PLAIN_UNITS:
        text += Markup(' <span class="mute">({})</span>').format(visible(unit, 40))
    return text
