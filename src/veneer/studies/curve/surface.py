"""Veneers by number of examples: how much of each trained model is surface."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from veneer.capture import capture
from veneer.foundation.results import Measurement
from veneer.head.events import solver_progress
from veneer.head.extract import split_of
from veneer.measures.behaviour import Scored
from veneer.measures.clusters import kept
from veneer.measures.extraction import extract_to
from veneer.measures.held_out import held_out
from veneer.models.language_model import LanguageModel
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.statistics import intervals
from veneer.studies.curve.names import STUDY, STYLE, TEST, tuned, veneer_of
from veneer.studies.curve.outcomes import Outcomes
from veneer.studies.curve.rows import estimate
from veneer.studies.curve.settings import CurveConfig
from veneer.studies.curve.training import Plan
from veneer.studies.curve.words import surface_note
from veneer.studies.study import Run
from veneer.systems.system import pair_systems
from veneer.tasks.task import Task

Sums = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
NAMES = ("the trained model", "base")  # what stands at 1 and at 0 of a portion


@dataclass
class Surface:
    """A veneer of every trained model, against the same base, with the same train prompts.

    pair: gives base and a trained model as a pair. answer: answers a task with a system, in a
    folder. tables: size -> KL sums of base and veneer, tokens and cluster, by prompt, of each
    seed.
    """

    run: Run
    pair: Callable[[LanguageModel], Pair]
    prompts: Sequence[Prompt]
    tasks: Sequence[Task]
    config: CurveConfig
    answer: Callable[..., Scored]
    tables: dict[int, list[Sums]] = field(default_factory=dict)
    veneered: dict[tuple[str, int], list[Scored]] = field(default_factory=dict)
    base: dict[str, Scored] = field(default_factory=dict)

    @property
    def sizes(self) -> list[int]:
        return list(self.tables)

    def add(self, plan: Plan, lm: LanguageModel, folder: Path) -> None:
        """Extract and measure the veneer of one training run."""
        pair = self.pair(lm)
        with self.run.stage("capture"):
            recorded = capture(
                pair,
                self.prompts,
                folder / "capture",
                self.config.capture_config(self.tasks),
                progress=self.run.progress,
            )
        with self.run.stage("extract"):
            extraction = replace(self.config.extraction, seed=self.config.seed)
            log = solver_progress(self.run.progress)
            veneer = extract_to(recorded, extraction, folder / "veneer", log=log)
            report = split_of(recorded, self.config.seed).report
            table = held_out(recorded, veneer, report)
        base, tokens = table.by_prompt(table.kl_base)
        left, _ = table.by_prompt(table.kl_veneer)
        ids = _ids(table.clusters(), len(base))
        self.tables.setdefault(plan.examples, []).append((base, left, tokens, ids))
        plain, headed, _ = pair_systems(pair, veneer)
        headed = replace(headed, name=veneer_of(plan.examples).name)
        for task in self.tasks:
            scored = self.answer(headed, task, folder / "veneered")
            self.veneered.setdefault((task.name, plan.examples), []).append(scored)
            if task.name not in self.base:
                self.base[task.name] = self.answer(plain, task, self.run.out / "base")

    def rows(self, tasks: Sequence[Task], outcomes: Outcomes) -> Iterator[Measurement]:
        """KL, recovered KL, scores and portions by number of examples. Intervals resample prompts,
        those of all seeds together."""
        for size, tables in self.tables.items():
            yield from self._kl_rows(size, tables)
            for task in tasks:
                yield from self._score_rows(task, size, outcomes)
        for task in tasks:
            if task.name in self.base:
                yield from self._base_rows(task, outcomes.clusters(task))

    def _kl_rows(self, size: int, tables: Sequence[Sums]) -> Iterator[Measurement]:
        base, left, tokens, ids = (np.concatenate(parts) for parts in zip(*tables, strict=True))
        seed = self.config.seed
        clusters = ids if len(set(ids)) < len(ids) else None
        kl = intervals.ratio_of_sums(base, tokens, seed=seed, clusters=clusters)
        share = intervals.recovered(left, base, seed=seed, clusters=clusters)
        facts = {"seeds": len(tables)}
        words = {"split": "report", "facts": facts, "note": surface_note(facts)}
        count = len(tables[0][0])  # prompts, which all seeds share
        for metric, e, unit in (("kl", kl, "nats/token"), ("kl_recovered", share, "share")):
            system = (tuned if metric == "kl" else veneer_of)(size).name
            counted = replace(e, n=count)
            yield Measurement.estimated(counted, STUDY, "joint", metric, system, unit=unit, **words)

    def _score_rows(self, task: Task, size: int, outcomes: Outcomes) -> Iterator[Measurement]:
        runs = self.veneered[task.name, size]
        system, base = veneer_of(size).name, self.base[task.name]
        clusters = outcomes.clusters(task)
        for metric in runs[0].values:
            y = np.array([one.values[metric] for one in runs])
            full = outcomes.values(task.name, tuned(size), metric)
            keep = ~np.isnan(y).any(0)
            if not keep.any():
                continue
            words = {"judge": runs[0].judges[metric], "split": TEST}
            facts = {"seeds": len(y)}
            unit = runs[0].units.get(metric, "share")
            e = estimate(y[:, keep], unit, self.config.seed, kept(clusters, keep))
            yield Measurement.estimated(
                e,
                STUDY,
                task.name,
                metric,
                system,
                unit=unit,
                facts=facts,
                **words,
            )
            rated = metric in task.headlines or metric == STYLE
            if not rated or full is None or metric not in base.values:
                continue
            keep &= ~np.isnan(full).any(0) & ~np.isnan(base.values[metric])
            if keep.any():
                yield self._portion(
                    task.name,
                    metric,
                    system,
                    y[:, keep],
                    full[:, keep],
                    base.values[metric][keep],
                    kept(clusters, keep),
                    **words,
                )

    def _portion(
        self,
        task: str,
        metric: str,
        system: str,
        veneer: np.ndarray,
        full: np.ndarray,
        base: np.ndarray,
        clusters: np.ndarray | None,
        **words: str | None,
    ) -> Measurement:
        runs, n = veneer.shape
        e = intervals.portion(
            veneer.ravel(),
            np.tile(base, runs),
            full.ravel(),
            seed=self.config.seed,
            clusters=np.tile(_ids(clusters, n), runs) if runs > 1 else clusters,
            names=NAMES,
        )
        facts = {"seeds": runs}
        return Measurement.estimated(
            replace(e, n=n),
            STUDY,
            task,
            "portion",
            system,
            of=metric,
            note=e.note or surface_note(facts),
            facts=facts,
            **words,
        )

    def _base_rows(self, task: Task, clusters: np.ndarray | None) -> Iterator[Measurement]:
        """Base in its own format, which stands at 0 of every portion."""
        one = self.base[task.name]
        for metric, values in one.values.items():
            known = ~np.isnan(values)
            if known.any():
                unit = one.units.get(metric, "share")
                yield Measurement.estimated(
                    estimate(values[known][None], unit, self.config.seed, kept(clusters, known)),
                    STUDY,
                    task.name,
                    metric,
                    "base",
                    judge=one.judges[metric],
                    split=TEST,
                    unit=unit,
                )


def _ids(clusters: np.ndarray | None, n: int) -> np.ndarray:
    """The clusters of n prompts; without them each prompt's own number."""
    return np.arange(n) if clusters is None else clusters
