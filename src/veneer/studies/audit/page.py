"""Audit: the verdict in words, what both models answer, KL by position, head against layers, and
the layers one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from veneer.foundation.results import Measurement, Results
from veneer.report import charts, tables, words
from veneer.report.page_context import PageContext
from veneer.report.section import NextStep, Section
from veneer.report.visible import visible
from veneer.report.words import Anchor, figure
from veneer.studies.audit.folders_0_1 import facts_of
from veneer.studies.audit.names import (
    ALL,
    AUDITED,
    BOTTOM,
    ON,
    ONLY_HEAD,
    ONLY_LAYERS,
    PATCHED,
    REFERENCE,
    RESTORED,
    STUDY,
    TOP,
)
from veneer.studies.audit.opening import next_step, opening
from veneer.studies.audit.taught.names import TAUGHT_TASKS
from veneer.studies.audit.taught.page import taught_part
from veneer.studies.audit.words import layer_ranges, opening_note, verdict_texts

KINDS = ("attention", "MLP", "norms")
HEIGHT = 150  # height of the chart of layers, px
LEFT = 9  # room for a tick's number left of the bars, % of the width: it fits on a telephone
ALONE = {
    ONLY_HEAD: "C's head on A's states",
    ONLY_LAYERS: "A's head on C's states",
    AUDITED: "C as it is",
}


@dataclass(frozen=True)
class Bars:
    """The change of each layer: `layers` in order, `rows` by (layer, kind)."""

    layers: list[int]
    kinds: list[str]
    rows: dict[tuple[int, str], Measurement]
    ranks: dict[tuple[int, str], Measurement]


@dataclass(frozen=True)
class DistanceCurves:
    """KL by position on one set of prompts, a line for each model's answers."""

    task: str
    series: dict[str, list[Measurement]]
    groups: list[tables.Group]

    @property
    def classes(self) -> dict[str, str]:
        """The CSS classes of each line: one system on two models' answers, in two styles."""
        return {name: f"sys-other alt{i}" for i, name in enumerate(self.series)}


def verdict(page: PageContext) -> dict[str, Any]:
    """Headline and sentences of the verdict."""
    headline, texts = verdict_texts(page.study.run, page.study.rows)
    return {"headline": headline, "sentences": texts}


def models(page: PageContext) -> list[tuple[str, str, str]]:
    """(role, its name on the page, the model's name) of A and C."""
    config = page.study.run.get("config")
    config = config if isinstance(config, dict) else {}
    return [
        (role, text, str(config[role]))
        for role, text in ((REFERENCE, "A, the reference"), (AUDITED, "C, the audited model"))
        if role in config
    ]


def _finding(page: PageContext) -> Markup | None:
    return (
        escape(visible(text, 600)) if (text := opening(page.study.run, page.study.rows)) else None
    )


def _next_step(page: PageContext) -> NextStep | None:
    command = next_step(page.study.run, Results(page.study.rows), page.study.path)
    return NextStep("put the refusals back", command) if command else None


def curves(page: PageContext) -> list[DistanceCurves]:
    """A chart a set of prompts, the overall one left out."""
    by_task: dict[str, DistanceCurves] = {}
    for g in page.of(STUDY, metric="kl"):
        if g.position and g.task != "all" and AUDITED in g.systems:
            chart = by_task.setdefault(g.task, DistanceCurves(g.task, {}, []))
            chart.series.setdefault(f"on {g.split}", []).append(g.systems[AUDITED])
            chart.groups.append(g)
    return list(by_task.values())


def alone(page: PageContext) -> list[tuple[tables.Group, list[tuple[str, Measurement]]]]:
    """Per set, the KL that head and layers make by themselves, on the reference's answers."""
    lines = []
    for g in page.of(STUDY, metric="kl"):
        if not g.position and g.split == ON[REFERENCE]:
            rows = [(words, g.systems[s]) for s, words in ALONE.items() if s in g.systems]
            if len(rows) > 1:
                lines.append((g, rows))
    return lines


def layers(page: PageContext) -> Bars | None:
    """The changes of weights by layer, or None where there are none."""
    rows, ranks = (_by_layer(page.of(STUDY, metric=m)) for m in ("weight_change", "effective_rank"))
    if not rows:
        return None
    kinds = [k for k in KINDS if any(kind == k for _, kind in rows)]
    return Bars(sorted({n for n, _ in rows}), kinds, rows, ranks)


def _by_layer(groups: Sequence[tables.Group]) -> dict[tuple[int, str], Measurement]:
    """(layer, kind of weights) -> its row."""
    facts = [(facts_of(g.first), g.first) for g in groups if _is_weights(g)]
    return {
        (f["layer"], f["part"]): row
        for f, row in facts
        if isinstance(f.get("layer"), int) and isinstance(f.get("part"), str)
    }


def _is_weights(group: tables.Group) -> bool:
    return group.metric in ("weight_change", "effective_rank")


def bars(changes: Bars, anchor: Anchor) -> Markup:
    """One group of bars per layer, in shares of the reference's norm."""
    high = max((r.value or 0.0) for r in changes.rows.values())
    ticks = charts.nice_ticks(high, 3)
    step, parts = (100 - LEFT) / len(changes.layers), []
    for t in ticks:
        y = round(14 + HEIGHT * (1 - t / ticks[-1]), 1)
        parts.append(
            Markup('<line class="grid" x1="{}%" x2="100%" y1="{y}" y2="{y}"/>').format(LEFT, y=y)
        )
        parts.append(
            Markup('<text class="tick" x="0" y="{}">{}</text>').format(
                y + 4, figure(t, 3 if t else 0)
            )
        )
    every = max(1, round(len(changes.layers) / 16))
    for place, layer in enumerate(changes.layers):
        left = LEFT + step * place
        if place % every == 0:
            text = '<text class="tick" x="{:.2f}%" y="{}" text-anchor="middle">{}</text>'
            parts.append(Markup(text).format(left + step / 2, HEIGHT + 32, layer))
        for at, kind in enumerate(changes.kinds):
            row = changes.rows.get((layer, kind))
            if row is None or not row.value:
                continue
            rank = changes.ranks.get((layer, kind))
            title = f"layer {layer} {kind}: {figure(row.value)} of the reference's norm"
            if rank:
                full = facts_of(rank).get("full")
                of_full = f" of {full}" if full else ""
                title += f", effective rank {figure(rank.value, 0)}{of_full}"
            height = HEIGHT * row.value / ticks[-1]
            width = 0.8 * step / len(changes.kinds)
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


def patched(page: PageContext) -> list[tuple[str, str, Measurement]]:
    """(which layers, the end they are counted from, share of the KL that is gone), from the bottom,
    from the top, all."""
    kl, gone = (
        next((g for g in page.of(STUDY, metric=m) if g.split == PATCHED and g.task == "all"), None)
        for m in ("kl", "kl_recovered")
    )
    if kl is None or gone is None:
        return []
    lines: list[tuple[str, str, Measurement]] = []
    for end in (BOTTOM, TOP, ALL):
        for system, row in gone.systems.items():
            if row.identity.kind == end and system in kl.systems:
                layers = facts_of(kl.systems[system]).get("layers")
                lines.append((layer_ranges(layers) if layers else system, end, row))
    return lines


@dataclass(frozen=True)
class Opening:
    """How most answers of some systems to one set of prompts begin: systems whose share and text
    are the same stand together."""

    task: str
    rows: dict[str, Measurement]
    text: str

    @property
    def systems(self) -> str:
        return words.listed([escape(visible(s, 40)) for s in self.rows])

    @property
    def first(self) -> Measurement:
        return next(iter(self.rows.values()))


def openings(groups: Sequence[tables.Group]) -> list[Opening]:
    """The beginnings that many answers share."""
    beginnings: dict[tuple, Opening] = {}
    for g in groups:
        for system, row in g.systems.items() if g.metric == "common_opening" else ():
            facts = facts_of(row)
            if "opening" in facts:
                text = opening_note(facts)
                one = beginnings.setdefault((g.task, row.value, text), Opening(g.task, {}, text))
                one.rows[system] = row
    return list(beginnings.values())


def _says_nothing(group: tables.Group) -> bool:
    """Whether a share of faulty answers is 0 for every system."""
    faults = ("empty_rate", "unfinished_rate")
    return group.metric in faults and not any(r.value for r in group.systems.values())


def _render(page: PageContext) -> Markup:
    rows = [g for g in page.of(STUDY) if g.task not in TAUGHT_TASKS]
    answers = [g for g in rows if g.split is None and not _is_weights(g)]
    shown = (
        "refusal_rate",
        "same_answer",
        "empty_rate",
        "unfinished_rate",
        "common_opening",
        "audited_opening",
        "mean_length",
    )
    main = [g for g in answers if g.metric in shown and not _says_nothing(g)]
    by_itself = alone(page)
    lanes = [row for _, rows_of in by_itself for _, row in rows_of]
    weights, gone = layers(page), patched(page)
    return page.template(
        "page.html.j2",
        package=__package__,
        verdict=verdict(page),
        answers=main,
        systems=[s for s in (REFERENCE, AUDITED, RESTORED) if any(s in g.systems for g in answers)],
        openings=openings(answers),
        facts_of=facts_of,
        ends={BOTTOM: "lowest: ", TOP: "highest: ", ALL: "all: "},
        all_layers=ALL,
        rest=[g for g in answers if g not in main]
        + [g for g in rows if g.split and not g.position and g.split != PATCHED],
        curves=curves(page),
        alone=by_itself,
        scale=charts.Scale(0.0, 1.02 * max(charts.linear_top({"": lanes})[0], 1e-6)),
        layers=weights,
        bars=bars,
        taught=taught_part(page),
        moved=any(r.value for r in weights.rows.values()) if weights else False,
        patched=gone,
        unit=charts.Scale(min([0.0, *(r.low or 0.0 for _, _, r in gone)]), 1.0),
        weights=[g for g in rows if _is_weights(g)],
        outside=[
            g
            for g in rows
            if g.metric == "weight_change" and facts_of(g.first).get("layer") is None
        ],
    )


SECTION = Section(
    "audit",
    "How far the surface has moved",
    "Audit",
    lambda page: bool(page.of(STUDY)),
    _render,
    (STUDY,),
    rank=10,
    question="How far has a fine-tuned model's surface moved?",
    finding=_finding,
    next_step=_next_step,
    models=models,
    package=__package__,
)
