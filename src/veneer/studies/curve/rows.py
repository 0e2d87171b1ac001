"""Rows of a curve study: every score by number of examples, all seeds together and each alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from veneer.foundation.results import Measurement
from veneer.measures.clusters import kept
from veneer.statistics import intervals
from veneer.statistics.crossed import crossed_rate
from veneer.statistics.intervals import Estimate
from veneer.studies.curve.names import STUDY, TEST, seed_split
from veneer.studies.curve.outcomes import Outcomes
from veneer.studies.curve.training import Plan
from veneer.studies.curve.words import seeds_note
from veneer.tasks.task import Task


def outcome_rows(task: Task, outcomes: Outcomes, seed: int) -> Iterator[Measurement]:
    """Each metric of each system: over all seeds (split test) and of each seed alone."""
    clusters = outcomes.clusters(task)
    for system, runs in outcomes.of_task(task.name):
        for metric in runs[0].values:
            y = outcomes.values(task.name, system, metric)
            if y is None:
                continue
            keep = ~np.isnan(y).any(axis=0)
            first = runs[0]
            words: dict[str, Any] = {
                "judge": first.judges[metric],
                "unit": first.units.get(metric, "share"),
            }
            facts = {"seeds": len(y)}
            if keep.any():
                whole = estimate(y[:, keep], words["unit"], seed, kept(clusters, keep))
                yield Measurement.estimated(
                    whole,
                    STUDY,
                    task.name,
                    metric,
                    system.name,
                    split=TEST,
                    note=seeds_note(facts),
                    facts=facts,
                    **words,
                )
            for number, own in enumerate(y if len(y) > 1 else ()):
                known = ~np.isnan(own)
                if known.any():
                    one = intervals.in_unit(
                        own[known], words["unit"], seed=seed, clusters=kept(clusters, known)
                    )
                    split = seed_split(seed + number)
                    yield Measurement.estimated(
                        one, STUDY, task.name, metric, system.name, split=split, **words
                    )


def estimate(
    values: np.ndarray, unit: str, seed: int, clusters: np.ndarray | None = None
) -> Estimate:
    """Mean of (runs, n) scores: of shares with both spreads, of other scores with that of the
    prompts. clusters: the id of each prompt (clusters.py)."""
    if intervals.SCALES.get(unit) == (0, 1) and np.all((values >= 0) & (values <= 1)):
        return crossed_rate(values, clusters)
    return intervals.in_unit(values.mean(axis=0), unit, seed=seed, clusters=clusters)


def step_rows(plans: Sequence[Plan]) -> Iterator[Measurement]:
    """Optimiser steps of each system; n is 0, since no prompt is behind them."""
    for plan in {p.identity: p for p in plans}.values():
        facts = {"epochs": plan.epochs, "batch": plan.batch}
        yield Measurement(
            STUDY,
            "joint",
            "training_steps",
            plan.identity.name,
            float(plan.steps),
            0,
            unit="steps",
            facts=facts,
        )
