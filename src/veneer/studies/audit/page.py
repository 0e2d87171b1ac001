"""Audit: the verdict in words, what both models answer, KL by position, head against layers, and
the layers one by one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from veneer.foundation.results import Measurement
from veneer.report import charts, tables
from veneer.report.page_context import Part
from veneer.report.section import Section
from veneer.report.words import Anchor, figure

STUDY = "audit"
WEIGHTS = "weights: "
KINDS = ("attention", "MLP", "norms")
HEIGHT = 150  # of the chart of layers, px
ALONE = {
    "only-head": "C's head on A's states",
    "only-layers": "A's head on C's states",
    "audited": "C as it is",
}


@dataclass(frozen=True)
class Bars:
    """The change of each layer: `layers` in order, `rows` by (layer, kind)."""

    layers: list[int]
    kinds: list[str]
    rows: dict[tuple[int, str], Measurement]
    ranks: dict[tuple[int, str], Measurement]


@dataclass(frozen=True)
class Curves:
    """KL by position on one set of prompts, a line for each model's answers."""

    task: str
    series: dict[str, list[Measurement]]
    groups: list[tables.Group]


def verdict(part: Part) -> dict[str, Any]:
    """What run.json says; nothing about it is assumed."""
    found = part.study.run.get("verdict")
    found = found if isinstance(found, dict) else {}
    said = found.get("sentences")
    return {
        "headline": str(found.get("headline") or "no verdict is recorded"),
        "sentences": [s for s in said if isinstance(s, str)] if isinstance(said, list) else [],
    }


def models(part: Part) -> list[tuple[str, str]]:
    """(A or C, its name)."""
    config = part.study.run.get("config")
    config = config if isinstance(config, dict) else {}
    return [
        (letter, str(config[role]))
        for letter, role in (("A", "reference"), ("C", "audited"))
        if role in config
    ]


def curves(part: Part) -> list[Curves]:
    """A chart a set of prompts, the overall one left out."""
    found: dict[str, Curves] = {}
    for g in part.of(STUDY, metric="kl"):
        if g.position and g.task != "all" and "audited" in g.systems:
            chart = found.setdefault(g.task, Curves(g.task, {}, []))
            chart.series.setdefault(f"on {g.split}", []).append(g.systems["audited"])
            chart.groups.append(g)
    return list(found.values())


def alone(part: Part) -> list[tuple[tables.Group, list[tuple[str, Measurement]]]]:
    """Of each set: what head and layers make of the KL by themselves, on the
    reference's answers."""
    found = []
    for g in part.of(STUDY, metric="kl"):
        if not g.position and g.split == "reference's answers":
            rows = [(words, g.systems[s]) for s, words in ALONE.items() if s in g.systems]
            if len(rows) > 1:
                found.append((g, rows))
    return found


def layers(part: Part) -> Bars | None:
    """The changes of weights by layer, or None where there are none."""
    rows, ranks = (_by_layer(part.of(STUDY, metric=m)) for m in ("weight_change", "effective_rank"))
    if not rows:
        return None
    kinds = [k for k in KINDS if any(kind == k for _, kind in rows)]
    return Bars(sorted({n for n, _ in rows}), kinds, rows, ranks)


def _by_layer(groups: Sequence[tables.Group]) -> dict[tuple[int, str], Measurement]:
    found = {}
    for g in groups:
        match = re.fullmatch(rf"{WEIGHTS}layer (\d+) (.+)", g.task)
        if match:
            found[int(match[1]), match[2]] = g.first
    return found


def bars(found: Bars, anchor: Anchor) -> Markup:
    """A group of bars a layer, in shares of the reference's norm."""
    high = max((r.value or 0.0) for r in found.rows.values())
    ticks = charts.nice_ticks(high, 3)
    step, parts = 95 / len(found.layers), []
    for t in ticks:
        y = round(14 + HEIGHT * (1 - t / ticks[-1]), 1)
        parts.append(Markup('<line class="grid" x1="5%" x2="100%" y1="{y}" y2="{y}"/>').format(y=y))
        parts.append(
            Markup('<text class="tick" x="0" y="{}">{}</text>').format(
                y + 4, figure(t, 3 if t else 0)
            )
        )
    every = max(1, round(len(found.layers) / 16))
    for place, layer in enumerate(found.layers):
        left = 5 + step * place
        if place % every == 0:
            text = '<text class="tick" x="{:.2f}%" y="{}" text-anchor="middle">{}</text>'
            parts.append(Markup(text).format(left + step / 2, HEIGHT + 32, layer))
        for at, kind in enumerate(found.kinds):
            row = found.rows.get((layer, kind))
            if row is None or not row.value:
                continue
            rank = found.ranks.get((layer, kind))
            title = f"layer {layer} {kind}: {figure(row.value)} of the reference's norm"
            title += (
                f", effective rank {figure(rank.value, 0)} {(rank.note or '').partition(';')[0]}"
                if rank
                else ""
            )
            height = HEIGHT * row.value / ticks[-1]
            width = 0.8 * step / len(found.kinds)
            parts.append(
                Markup(
                    '<a href="#{}" tabindex="-1"><rect class="bar-{}" x="{:.2f}%" width="{:.2f}%" '
                    'y="{:.1f}" height="{:.1f}"/>'
                    "<title>{}</title></a>"
                ).format(
                    anchor(row),
                    kind,
                    left + 0.1 * step + width * at,
                    width,
                    14 + HEIGHT - height,
                    height,
                    title,
                )
            )
    label = "Change of the weights of each layer, as a share of the reference's norm"
    parts.append(
        Markup('<text class="axis-name" x="52%" y="{}" text-anchor="middle">layer</text>').format(
            HEIGHT + 52
        )
    )
    return Markup('<svg class="chart" height="{}" role="img"><title>{}</title>{}</svg>').format(
        HEIGHT + 60, label, Markup("").join(parts)
    )


def patched(part: Part) -> list[tuple[str, str, Measurement]]:
    """(which layers, the end they are counted from, share of the KL that is gone), from the bottom,
    from the top, all."""
    gone = next(
        (
            g
            for g in part.of(STUDY, metric="kl_recovered")
            if g.split == "patched" and g.task == "all"
        ),
        None,
    )
    notes = next(
        (g for g in part.of(STUDY, metric="kl") if g.split == "patched" and g.task == "all"), None
    )
    if gone is None or notes is None:
        return []
    found: list[tuple[str, str, Measurement]] = []
    for end in ("bottom", "top", "all"):
        for system, row in gone.systems.items():
            if system.partition("-")[0] == end and system in notes.systems:
                which = (
                    (notes.systems[system].note or system)
                    .partition(" in the audited")[0]
                    .removeprefix("the reference's ")
                )
                found.append((which, end, row))
    return found


def _render(part: Part) -> Markup:
    rows = part.of(STUDY)
    answers = [g for g in rows if g.split is None and not g.task.startswith(WEIGHTS)]
    shown = (
        "refusal_rate",
        "same_answer",
        "empty_rate",
        "unfinished_rate",
        "common_opening",
        "audited_opening",
        "mean_length",
    )
    by_itself = alone(part)
    lanes = [r for _, some in by_itself for _, r in some]
    found, moved = layers(part), patched(part)
    return part.template(
        "page.html.j2",
        package=__package__,
        verdict=verdict(part),
        models=models(part),
        answers=[g for g in answers if g.metric in shown],
        systems=[
            s
            for s in ("reference", "audited", "audited-veneer")
            if any(s in g.systems for g in answers)
        ],
        openings=[
            (g, s, r)
            for g in answers
            if g.metric == "common_opening"
            for s, r in g.systems.items()
            if r.note
        ],
        rest=[g for g in answers if g.metric not in shown]
        + [g for g in rows if g.split and not g.position and g.split != "patched"],
        curves=curves(part),
        alone=by_itself,
        scale=charts.Scale(
            0.0, max([x for r in lanes for x in (r.value, r.high) if x is not None] + [1e-6]) * 1.02
        ),
        layers=found,
        bars=bars,
        moved=any(r.value for r in found.rows.values()) if found else False,
        patched=moved,
        unit=charts.Scale(min([0.0, *(r.low or 0.0 for _, _, r in moved)]), 1.0),
        weights=[g for g in rows if g.task.startswith(WEIGHTS)],
        outside=[
            g
            for g in rows
            if g.metric == "weight_change" and not g.task.startswith(f"{WEIGHTS}layer ")
        ],
    )


SECTION = Section(
    "audit",
    "How far the surface has moved",
    "Audit",
    lambda part: bool(part.of(STUDY)),
    _render,
    (STUDY,),
    rank=10,
    question="How far has a fine-tuned model's surface moved?",
    package=__package__,
)
