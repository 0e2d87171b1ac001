"""Transfer: a large base with a small base's veneer, beside the baked head, its own veneer and its
aligned version."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from veneer.foundation.results import Measurement
from veneer.report import tables
from veneer.report.page_context import PageContext
from veneer.report.section import Section
from veneer.report.sections.position import Curves
from veneer.report.visible import visible
from veneer.studies.transfer.finding import finding
from veneer.studies.transfer.names import SHIFTED, STUDY, constant_alpha
from veneer.studies.transfer.order import first_headlines, order
from veneer.studies.transfer.sweep import drawn, sweep
from veneer.studies.transfer.words import fairness, rule

MODELS = (  # key in run.json's pair, the system whose mark it has, its name on the page
    ("small_base", "small-base", "small base"),
    ("small_aligned", "small-aligned", "small aligned"),
    ("base", "base", "large base"),
    ("aligned", "aligned", "large aligned"),
)


@dataclass(frozen=True)
class MeasuredTask:
    """A column of the table and a chart: the task's first headline on test prompts, and its
    portions where they are defined."""

    values: tables.Group
    portions: tables.Group | None


def measured_tasks(page: PageContext) -> list[MeasuredTask]:
    heads = first_headlines(page.study.rows)
    measured = page.of("measure")
    portions = {
        (g.task, g.of, g.judge): g for g in measured if g.metric == "portion" and g.split == "test"
    }
    return [
        MeasuredTask(g, portions.get((g.task, g.metric, g.judge)))
        for g in measured
        if g.of is None and g.split == "test" and heads.get(g.task) == g.metric
    ]


def whole(page: PageContext, metric: str, split: str) -> dict[str, Measurement]:
    """system -> its figure over all tasks."""
    groups = (
        g
        for g in page.of(STUDY, metric=metric)
        if g.task == "joint" and g.split == split and g.position is None
    )
    return next((g.systems for g in groups), {})


def leading(page: PageContext) -> list[str]:
    """The shifted systems of the charts: the one that was chosen, and of the other kind (constant
    or fading) the nearest to the aligned model on the select part."""
    rows = whole(page, "kl", "select").values()
    shifted = sorted(
        (r for r in rows if r.identity.kind == SHIFTED), key=lambda row: row.value or 0.0
    )
    kinds = [
        next((r for r in shifted if (constant_alpha(r.identity) is None) == fades), None)
        for fades in (False, True)
    ]
    return [row.system for row in kinds if row is not None]


def curves(page: PageContext) -> list[Curves]:
    """KL by position, one chart per task, all tasks together first; of the shifted systems those of
    `leading`, the table has all."""
    charts: dict[str, Curves] = {}
    keep = {"base", "baked", "veneer", *leading(page)}
    floor = whole(page, "kl", "noise").get("aligned")
    for g in page.of(STUDY, metric="kl"):
        if g.position:
            chart = charts.setdefault(g.task, Curves(g.task, g.split))
            chart.groups.append(g)
            for system in order(tables.identities([g])):
                if system in keep:
                    chart.series.setdefault(system, []).append(g.systems[system])
    for chart in charts.values():
        if floor is not None:
            chart.series["aligned"] = [_at(floor, g) for g in chart.groups]
        early = (
            g
            for g in page.of(STUDY, metric="early_kl_share")
            if g.task == chart.task and "base" in g.systems
        )
        chart.early = next(early, None)
    return sorted(charts.values(), key=lambda c: c.task != "joint")


def _at(floor: Measurement, group: tables.Group) -> Measurement:
    """The noise floor, which has no position, at the position of a group."""
    return replace(floor, position=group.position)


def choice(page: PageContext) -> dict[str, Any] | None:
    """The choice of alpha in run.json; nothing about it is assumed."""
    facts = page.study.run.get("choice")
    if not isinstance(facts, dict) or not isinstance(facts.get("system"), str):
        return None
    return {
        "system": visible(facts["system"], 60),
        "rule": visible(rule(facts), 300),
        "n": visible(facts.get("n", ""), 10),
    }


def _render(page: PageContext) -> Markup:
    tasks = measured_tasks(page)
    columns = {
        metric: whole(page, metric, split)
        for metric, split in (
            ("kl", "report"),
            ("time_ratio", "timing"),
            ("memory_ratio", "timing"),
        )
    }
    identities = tables.identities(t.values for t in tasks)
    for rows in columns.values():
        identities |= {s: r.identity for s, r in rows.items() if s not in identities}
    systems = order(identities)
    drawn_positions = curves(page)
    rest = [g for g in page.of(STUDY) if g.position is None]
    return page.template(
        "page.html.j2",
        package=__package__,
        tasks=tasks,
        systems=systems,
        columns={metric: rows for metric, rows in columns.items() if rows},
        choice=choice(page),
        fairness=[visible(s, 400) for s in fairness(page.study.run.get("fairness"))],
        sweeps=[(t, sweep(t.values, page.anchor)) for t in tasks if drawn(t.values)],
        positions=page.template("position.html.j2", curves=drawn_positions, rest=[]),
        rest=rest,
        descriptions=[(s, about) for s in systems if (about := page.about(s))],
        families={s: page.family(s) for s in systems},
    )


def models(page: PageContext) -> list[tuple[str, str, str]]:
    """(role, its name on the page, the model's name) of every model of run.json: the small aligned
    model is no aligned version of the large base."""
    pair = page.study.run.get("pair")
    pair = pair if isinstance(pair, dict) else {}
    named = ((role, text, pair.get(key)) for key, role, text in MODELS)
    return [
        (role, text, facts["name"])
        for role, text, facts in named
        if isinstance(facts, dict) and isinstance(facts.get("name"), str)
    ]


def _finding(page: PageContext) -> Markup | None:
    """What the shifted system reaches that was chosen."""
    chosen = choice(page)
    return finding(page.study.rows, chosen["system"] if chosen else None, page.anchor)


SECTION = Section(
    "transfer",
    "Transfer to a larger model",
    "Transfer",
    lambda page: bool(page.of(STUDY)),
    _render,
    (STUDY,),
    rank=20,
    question="How far does a small model's veneer carry a larger model?",
    finding=_finding,
    models=models,
    package=__package__,
)
