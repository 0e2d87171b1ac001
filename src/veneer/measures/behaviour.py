"""Behaviour: scores of the systems' answers to a task's test prompts, and the portion."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from veneer.foundation.errors import InputError
from veneer.foundation.results import Measurement, join_notes
from veneer.judges.judge import Judge
from veneer.measures.clusters import kept, task_clusters
from veneer.measures.judged import judged
from veneer.prompts.prompt import Prompt
from veneer.statistics import intervals
from veneer.systems.responses import Response
from veneer.tasks.task import Task

# contract.md: test goals that share half or more of their content words with a train goal
OVERLAP_LIMIT = 0.5


@dataclass
class Scored:
    """One system's scores on one task: metric -> (n,) values in the order of the prompts, NaN where
    a prompt has none; and per metric the judge's id, a note on the judge, and facts of its row."""

    system: str
    values: dict[str, np.ndarray] = field(default_factory=dict)
    judges: dict[str, str | None] = field(default_factory=dict)
    notes: dict[str, str | None] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def put(
        self,
        metric: str,
        values: Sequence[float | None],
        judge: Judge | None = None,
        units: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Keep a metric's values, one per answer. units: those of a metric without a judge."""
        self.values[metric] = np.array([np.nan if v is None else v for v in values], float)
        self.judges[metric] = None if judge is None else judge.id
        self.notes[metric] = None if judge is None else judge.note
        self.units[metric] = (units if judge is None else judge.metrics).get(metric, "share")


def score(
    task: Task,
    prompts: Sequence[Prompt],
    responses: Sequence[Response],
    judges: Sequence[Judge],
    progress: Callable[[int, int, str], None] | None = None,
) -> Scored:
    """Task metrics, those of every judge, and for every task the share of empty answers (neither a
    refusal nor compliance); where a system thinks, also the share of answers that were cut within
    their reasoning, which are neither as well. All else reads the answers alone.

    Where a prompt has several samples, their mean counts. Where a judge gave no verdict on any
    sample of a prompt, the value is NaN; the judge's `unscored_rate` is the share of answers
    without a verdict.
    """
    place = {p.id: i for i, p in enumerate(prompts)}
    rows = sorted(
        (r for r in responses if r.prompt_id in place),
        key=lambda r: (place[r.prompt_id], r.sample_id),
    )
    at = np.array([place[r.prompt_id] for r in rows])
    answered = [prompts[i] for i in at]
    scored = Scored(responses[0].system)
    for metric, own in _columns(
        [task.score(p, r.text) for p, r in zip(answered, rows, strict=True)]
    ).items():
        _check_scale(task, metric, own)
        scored.put(metric, own, units=task.units)
    for judge in judges:
        columns = _columns(judged(judge, answered, rows, progress))
        for metric in judge.metrics:
            scored.put(metric, columns[metric], judge)
        missing = np.all([np.isnan(scored.values[m]) for m in judge.metrics], axis=0)
        if missing.any():
            scored.put(f"{judge.name}_unscored_rate", missing.astype(float).tolist(), judge)
    scored.put("empty_rate", [float(r.empty) for r in rows])
    if any(r.reasoning is not None for r in rows):
        scored.put("unfinished_rate", [float(r.unfinished) for r in rows])
    combined = [
        task.combine(p, {m: float(v[i]) for m, v in scored.values.items()})
        for i, p in enumerate(answered)
    ]
    by_name = {judge.name: judge for judge in judges}
    for metric, more in _columns(combined).items():
        scored.put(metric, more, by_name.get(task.combined[metric] or ""), task.units)
    scored.values = {m: _by_prompt(v, at, len(prompts)) for m, v in scored.values.items()}
    return scored


def _check_scale(task: Task, metric: str, values: Sequence[float | None]) -> None:
    unit = task.units.get(metric, "share")
    least, most = intervals.SCALES.get(unit, (-np.inf, np.inf))
    for value in values:
        if value is not None and not (np.isnan(value) or least <= value <= most):
            raise InputError(
                f"the task {task.name} gave {value:g} as {metric}, whose unit is {unit!r}; "
                f"expected {least:g} to {most:g}, or another unit in the task's `units`"
            )


def behaviour_rows(
    task: Task,
    prompts: Sequence[Prompt],
    scored: Sequence[Scored],
    *,
    split: str = "test",
    seed: int = 0,
) -> Iterator[Measurement]:
    """One row per system and metric, and for the task's headlines the portion of every system but
    base and aligned.

    More sets of rows: split "deduplicated" leaves out prompts that share half or more of their
    content words with a train prompt, where a task knows that overlap; "group:NAME" are the
    headlines of each of the task's groups.
    """
    every = np.ones(len(prompts), bool)
    clusters = task_clusters(task, prompts)
    yield from _rows(task, scored, every, split, clusters, seed)
    overlap = np.array([float(p.reference.get("overlap", 0.0)) for p in prompts])
    distinct = overlap < OVERLAP_LIMIT
    if 0 < distinct.sum() < len(prompts):
        yield from _rows(task, scored, distinct, "deduplicated", clusters, seed)
    groups = np.array([task.group(p) or "" for p in prompts])
    for group in sorted(set(groups) - {""}):
        yield from _rows(
            task,
            scored,
            groups == group,
            f"group:{group}",
            clusters,
            seed,
            only=tuple(task.headlines),
        )


def _rows(
    task: Task,
    scored: Sequence[Scored],
    keep: np.ndarray,
    split: str,
    clusters: np.ndarray | None,
    seed: int,
    only: Sequence[str] | None = None,
) -> Iterator[Measurement]:
    by_name = {s.system: s for s in scored}
    for one in scored:
        for metric, values in one.values.items():
            known = keep & ~np.isnan(values)
            if (only is not None and metric not in only) or not (
                keep.any() and (known.any() or only is None)
            ):
                continue
            unit = one.units.get(metric, "share")
            e = intervals.in_unit(values[known], unit, seed=seed, clusters=kept(clusters, known))
            row = Measurement.estimated(
                e,
                "measure",
                task.name,
                metric,
                one.system,
                judge=one.judges[metric],
                split=split,
                unit=unit,
                facts=one.facts.get(metric),
            )
            yield _noted(row, one.notes.get(metric))
    if not {"base", "aligned"} <= set(by_name):
        return
    for metric in task.headlines:
        for one in scored:
            three = [s.values.get(metric) for s in (one, by_name["base"], by_name["aligned"])]
            if one.system in ("base", "aligned") or any(v is None for v in three):
                continue
            known = keep & ~np.isnan(np.array(three)).any(axis=0)
            if only is not None and not known.any():
                continue
            e = intervals.portion(
                *(v[known] for v in three if v is not None),
                seed=seed,
                clusters=kept(clusters, known),
            )
            yield Measurement.estimated(
                e,
                "measure",
                task.name,
                "portion",
                one.system,
                judge=one.judges[metric],
                of=metric,
                split=split,
            )


def _columns(rows: Sequence[Mapping[str, float | None]]) -> dict[str, list[float | None]]:
    return {metric: [r[metric] for r in rows] for metric in rows[0]} if rows else {}


def _by_prompt(values: np.ndarray, at: np.ndarray, prompts: int) -> np.ndarray:
    """Mean over each prompt's samples that have a value."""
    if len(at) == prompts:
        return values
    with warnings.catch_warnings():
        # a prompt of which no sample has a value is NaN
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.array([np.nanmean(values[at == i]) for i in range(prompts)])


def _noted(row: Measurement, note: str | None) -> Measurement:
    return replace(row, note=join_notes(row.note, note))
