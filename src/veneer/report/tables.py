"""Measurements arranged for reading: one row per measured thing, one column per system."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from veneer.foundation.results import Measurement
from veneer.foundation.system_id import SystemId
from veneer.report.systems import MAIN, order

GROUP = "group:"  # a split of this name is a part of the task's prompts
ASIDE = (
    "empty_rate",
    "unfinished_rate",
    "partial_refusal_rate",
    "well_formed",
    "answer_nll",
    "difference_from_base",
    "difference_from_aligned",
)  # never a task's main metric


@dataclass(frozen=True, slots=True)
class Group:
    """The rows that differ only in their system."""

    study: str
    task: str
    metric: str
    of: str | None
    split: str | None
    position: tuple[int, int] | None
    judge: str | None
    systems: dict[str, Measurement]

    @property
    def first(self) -> Measurement:
        return next(iter(self.systems.values()))

    @property
    def n(self) -> str:
        """Number of prompts, or its range where systems differ."""
        sizes = sorted({row.n for row in self.systems.values()})
        return str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]}–{sizes[-1]}"

    @property
    def others(self) -> dict[str, Measurement]:
        """The systems beside base, veneer and aligned, controls first."""
        return {s: self.systems[s] for s in columns([self]) if s not in MAIN}


def groups(rows: Iterable[Measurement]) -> list[Group]:
    """One group per measured quantity, in the order in which they first occur."""
    result: dict[tuple, Group] = {}
    for r in rows:
        fresh = Group(r.study, r.task, r.metric, r.of, r.split, r.position, r.judge, {})
        key = (r.study, r.task, r.metric, r.of, r.split, r.position, r.judge)
        result.setdefault(key, fresh).systems[r.system] = r
    return list(result.values())


def identities(groups: Iterable[Group]) -> dict[str, SystemId]:
    """Identities of the systems of these groups, by name."""
    return {name: row.identity for g in groups for name, row in g.systems.items()}


def columns(groups: Iterable[Group]) -> list[str]:
    """The systems that a table of these groups needs, in reading order."""
    return order(identities(groups))


def headline(groups: Iterable[Group]) -> list[Group]:
    """The portions to lead with: the veneer's, one per task and metric; `empty_rate` only where its
    task has no other."""
    portions: dict[tuple, Group] = {}
    for g in groups:
        if g.metric == "portion" and "veneer" in g.systems:
            key = (g.task, g.of, g.judge)
            if (g.split or "").startswith(GROUP):
                continue
            if key not in portions or g.systems["veneer"].n > portions[key].systems["veneer"].n:
                portions[key] = g  # the fullest split leads
    with_other = {g.task for g in portions.values() if g.of != "empty_rate"}
    return [g for g in portions.values() if g.of != "empty_rate" or g.task not in with_other]


def variants(groups: Iterable[Group], lead: Group) -> list[Group]:
    """The same portion on other splits, e.g. without prompts that resemble training prompts."""
    return [
        g
        for g in groups
        if (g.task, g.metric, g.of, g.judge) == (lead.task, lead.metric, lead.of, lead.judge)
        and g.split != lead.split
        and not (g.split or "").startswith(GROUP)
        and "veneer" in g.systems
    ]


def noise_floor(rows: Iterable[Measurement], study: str, task: str) -> Measurement | None:
    """The aligned model's KL against itself, of the task or else of all tasks, where it stands in a
    split of its own."""
    floors = {
        r.task: r
        for r in rows
        if (r.study, r.metric, r.system, r.position) == (study, "kl", "aligned", None)
    }
    return floors.get(task) or floors.get("joint")


@dataclass(frozen=True, slots=True)
class Headline:
    """A task's main metric: what each system reaches, and which portion of the way from base to
    aligned that is."""

    values: Group
    portions: Group | None


def headlines(groups: Sequence[Group]) -> list[Headline]:
    """The main metrics of every task: those that have a portion, or else the first
    that it measures."""
    measured = [g for g in groups if g.study == "measure" and not (g.split or "").startswith(GROUP)]
    lead = headline(measured)
    result = []
    for task in dict.fromkeys(g.task for g in measured):
        own = [g for g in measured if g.task == task and g.metric != "portion"]
        pairs = [(g, p) for p in lead if p.task == task for g in own if _same(g, p)]
        if pairs:
            result += [Headline(g, p) for g, p in pairs]
            continue
        other = [
            g for g in own if g.metric not in ASIDE and not g.metric.endswith("_unscored_rate")
        ]
        result += [Headline(g, None) for g in other[:1]]
    return result


def _same(values: Group, portions: Group) -> bool:
    return (values.metric, values.split, values.judge) == (
        portions.of,
        portions.split,
        portions.judge,
    )


JOINT = "all tasks"


def cross(groups: Iterable[Group]) -> list[tuple[Group, dict[str, Measurement]]]:
    """Portions of veneers extracted on one task and measured on another: per headline,
    {extracted on: its row}.

    The veneer of all tasks together stands as `JOINT`.
    """
    table = []
    for g in headline(groups):
        systems = g.systems.values()
        own = [r for r in systems if r.identity.kind == "veneer-from"]
        rows = {str(r.identity.get("task")): r for r in own}
        if rows:
            joint = {JOINT: g.systems["veneer"]} if "veneer" in g.systems else {}
            table.append((g, rows | joint))
    return table
