"""A verdict as data, and the rows that decide it. Nothing here needs a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from veneer.foundation.results import Measurement, Results, is_count, is_finite
from veneer.studies.audit.folders_0_1 import facts_of
from veneer.studies.audit.names import (
    ALL,
    AUDITED,
    HELD_OUT,
    ON,
    ONLY_HEAD,
    ONLY_LAYERS,
    PATCHED,
    RESTORED,
    STUDY,
)

NOT_COMPARED, UNCHANGED, MOVED = "not compared", "unchanged", "surface moved"
HEAD_ONLY, LAYERS, BOTH = "head only", "layers", "both"
YES, IN_PART, NO = "yes", "in part", "no"
OPEN = "not determined"  # the intervals say nothing: of `where` and of `restorable`
LOW_RANK = 8  # times below the full rank, so that a change is called low-rank
HEADS = ("head", "embeddings and head (tied)")  # kinds of weights that hold the head


@dataclass(frozen=True)
class AuditVerdict:
    """moved: MOVED, UNCHANGED, or NOT_COMPARED without a common vocabulary or without a token to
    compare. where: HEAD_ONLY, LAYERS, BOTH, OPEN, or "". restorable: YES, IN_PART, NO, OPEN, or ""
    where there was nothing to restore or it was not tried. carriers: HEAD_ONLY and LAYERS, each
    where it alone makes a good part of the distance. floor: nats per token, below which a distance
    is noise. layers: number of the reference's. left_out: what could not be compared, each with its
    "reason" and what `words.omission` needs beside it. rounded: a number type, where all weights
    were compared and those of one model are the other's rounded to it; otherwise ""."""

    moved: str
    where: str = ""
    restorable: str = ""
    carriers: tuple[str, ...] = ()
    floor: float = 0.0
    layers: int = 0
    left_out: tuple[Mapping[str, Any], ...] = ()
    rounded: str = ""

    def facts(self) -> dict[str, Any]:
        """For run.json."""
        facts = {**asdict(self), "carriers": list(self.carriers)}
        return {**facts, "left_out": [dict(o) for o in self.left_out]}

    @classmethod
    def of_run(cls, value: Any) -> AuditVerdict | None:
        """The verdict in run.json; None where it holds none. Nothing about it is assumed."""
        try:
            lists = {name: tuple(value[name]) for name in ("carriers", "left_out")}
            verdict = cls(**{**value, **lists})
        except (TypeError, KeyError):
            return None
        valid = (
            verdict.moved in (NOT_COMPARED, UNCHANGED, MOVED)
            and verdict.where in ("", HEAD_ONLY, LAYERS, BOTH, OPEN)
            and verdict.restorable in ("", YES, IN_PART, NO, OPEN)
            and isinstance(verdict.rounded, str)
            and is_count(verdict.layers)
            and is_finite(verdict.floor)
            and all(isinstance(o, Mapping) for o in verdict.left_out)
        )
        return verdict if valid else None


def kl_rows(results: Results, system: str, task: str = "all") -> list[Measurement]:
    """The KL rows over all positions that have a value, on the reference's answers first."""
    rows = results.where(task=task, metric="kl", system=system, position=None)
    return [r for split in ON.values() for r in rows if r.split == split and r.value is not None]


def alone(results: Results) -> list[Measurement]:
    """KL of the audited model, of its head alone and of its layers alone, on the reference's
    answers."""
    nothing = Measurement(STUDY, "all", "kl", AUDITED, None, 0)
    return [
        next(iter(kl_rows(results, system)), nothing)
        for system in (AUDITED, ONLY_HEAD, ONLY_LAYERS)
    ]


def by_system(results: Results, task: str, metric: str) -> dict[str, Measurement]:
    """system -> its row."""
    return {r.system: r for r in results.where(task=task, metric=metric)}


def difference(results: Results, task: str, system: str, other: str) -> Measurement | None:
    """The paired difference of refusals between two systems."""
    rows = results.where(task=task, metric=f"difference_from_{other}", system=system)
    return next(iter(rows), None)


def holds_zero(row: Measurement) -> bool:
    """Whether 0 lies in the interval; without an interval it may."""
    return row.low is None or row.high is None or row.low <= 0 <= row.high


def recovered(results: Results) -> Measurement | None:
    """The share of the KL that a veneer recovers on prompts it has not seen."""
    rows = results.where(task="all", metric="kl_recovered", system=RESTORED, split=HELD_OUT)
    return next(iter(rows), None)


def half_restored(results: Results, end: str) -> Measurement | None:
    """The row of the fewest patched layers from an end with which half of the KL or more is gone.
    end: BOTTOM or TOP."""
    rows = results.where(task="all", metric="kl_recovered", split=PATCHED)
    return next(
        (r for r in rows if r.identity.kind in (end, ALL) and (r.value or 0) >= 0.5),
        None,
    )


@dataclass(frozen=True)
class WeightGroup:
    """A group of weights, read from rows. name: such as "layer 3 MLP". rank, full: effective rank
    and the most that it could be; 0 where the group did not change or has no matrix. rounded: as a
    weights.Change has it."""

    name: str
    kind: str
    layer: int | None
    relative: float
    rank: int
    full: int
    rounded: str = ""

    @property
    def is_head(self) -> bool:
        return self.kind in HEADS


def groups(results: Results) -> list[WeightGroup]:
    """Every group of weights, in the order of the model."""
    ranks = {r.task: r for r in results.where(metric="effective_rank")}
    table = []
    for row in results.where(metric="weight_change"):
        facts, rank = facts_of(row), ranks.get(row.task)
        layer, kind = facts.get("layer"), str(facts.get("part"))
        name = kind if layer is None else f"layer {layer} {kind}"
        most = 0 if rank is None else int(facts_of(rank).get("full") or 0)
        own = 0 if rank is None else int(rank.value or 0)
        rounded = str(facts.get("rounded") or "")
        table.append(WeightGroup(name, kind, layer, row.value or 0.0, own, most, rounded))
    return table


def rounding(table: Sequence[WeightGroup]) -> str:
    """The number type where every changed group is the other model's rounded to it; otherwise
    ""."""
    types = {g.rounded for g in table if g.relative > 0}
    return types.pop() if len(types) == 1 else ""


def is_low_rank(changed: Sequence[WeightGroup]) -> bool:
    """Whether all changed groups that have a rank have a low one."""
    inner = [g for g in changed if g.full]
    return bool(inner) and all(g.rank * LOW_RANK <= g.full for g in inner)
