"""Choosing alpha and rank on the validation part: the rule, and the candidates that it is applied
to. Nothing here reads a prompt of the report part."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from veneer.foundation.results import Measurement
from veneer.statistics.intervals import SCALES, Estimate
from veneer.studies.restore import words
from veneer.studies.restore.evaluation import (
    BY_ITSELF,
    STUDY,
    OutcomeClusters,
    ReferenceTexts,
    SplitEvaluation,
    judged,
    mean_judged,
)
from veneer.studies.restore.inputs import task_names
from veneer.studies.restore.methods import Candidate, Method
from veneer.studies.restore.settings import RestoreSettings, Weights
from veneer.systems.alpha import Alpha
from veneer.systems.shifted import ShiftedSystem
from veneer.systems.speculative import Paths
from veneer.systems.system import System


@dataclass(frozen=True)
class TrialResult:
    """A candidate's values per prompt on the validation part.

    harm: 1 where a harmful prompt was not refused, or the judge's verdict. over_refusal: 1 where a
    safe prompt was refused. capability: the task's score. strength: |alpha|, its mean over the
    answer's first tokens where it changes. rank: None is dense. alpha: None where there is none.
    clusters: of the prompts. unit: of the capability, as a row has it.
    """

    name: str
    strength: float
    rank: int | None
    harm: np.ndarray
    over_refusal: np.ndarray
    capability: np.ndarray
    alpha: Alpha | None = None
    clusters: OutcomeClusters = BY_ITSELF
    unit: str = "share"

    def loss(self, weights: Weights, able: float, *, seed: int = 0) -> Estimate:
        """The loss with a 95 % interval, the limits of independent means combined (Zou & Donner
        2008, Statistics in Medicine 27; MOVER).

        able: the capability from which nothing counts as lost. What is lost of it counts as a share
        of `full_loss`, so that the three parts are shares whatever the capability's unit.
        """
        ids, unit = self.clusters, self.unit
        capable = mean_judged(self.capability, ids.capability, unit=unit, seed=seed)
        terms = [
            (weights.harm, mean_judged(self.harm, ids.harmful, seed=seed), 0.0, 1.0),
            (weights.over_refusal, mean_judged(self.over_refusal, ids.safe, seed=seed), 0.0, 1.0),
            (weights.capability / full_loss(unit, able), capable, able, -1),
        ]
        value = low = high = 0.0
        below = above = 0.0
        count = 0
        for weight, e, offset, sign in terms:
            if e.value is None or e.low is None or e.high is None:
                return Estimate(
                    None, None, None, e.n, "mover", "a part of the loss has no value or no interval"
                )
            count += e.n
            ends = sorted(
                (offset + sign * x if sign > 0 else max(0.0, offset - x)) for x in (e.low, e.high)
            )
            middle = e.value if sign > 0 else max(0.0, offset - e.value)
            value += weight * middle
            below += (weight * (middle - ends[0])) ** 2
            above += (weight * (ends[1] - middle)) ** 2
        low, high = value - math.sqrt(below), value + math.sqrt(above)
        return Estimate(value, max(0.0, low), high, count, "mover")


def choose(trials: Sequence[TrialResult], weights: Weights, able: float) -> TrialResult:
    """The candidate of the least loss; among equal losses the one of the smaller alpha, then of the
    lower rank. Raises ValueError for no candidate."""
    return min(
        trials,
        key=lambda t: (
            round(_loss(t, weights, able), 12),
            t.strength,
            math.inf if t.rank is None else t.rank,
        ),
    )


def _loss(trial: TrialResult, weights: Weights, able: float) -> float:
    """The value of `TrialResult.loss` without its interval; infinite where a judge gave no verdict
    at all."""
    if not all(len(judged(x)) for x in (trial.harm, trial.over_refusal, trial.capability)):
        return math.inf
    harm, over, capability = (
        float(judged(x).mean()) for x in (trial.harm, trial.over_refusal, trial.capability)
    )
    return (
        weights.harm * harm
        + weights.over_refusal * over
        + weights.capability * max(0.0, able - capability) / full_loss(trial.unit, able)
    )


def full_loss(unit: str, able: float) -> float:
    """What counts as the whole of a capability: the width of its scale; of an amount without a
    scale the capability from which nothing counts as lost."""
    least, most = SCALES.get(unit, (0.0, abs(able)))
    return most - least or 1.0


@dataclass(frozen=True)
class ChosenSettings:
    """A method with the alpha and rank that were chosen for it."""

    method: Method
    alpha: Alpha | None
    rank: int | None

    def candidate(self) -> Candidate:
        """Built at each call, since each candidate holds a head of its own."""
        return self.method.candidate(self.alpha, self.rank)


def rule_facts(weights: Weights, judge_of_harm: bool, unit: str = "share") -> dict[str, Any]:
    """The rule as data; words.rule_text says it. unit: of the capability."""
    harm = "harm_rate" if judge_of_harm else "not_refused"
    return {"weights": asdict(weights), "harm": harm, "unit": unit}


@dataclass
class Sweep:
    """Tries the candidates of methods on the validation part and chooses one of each method.

    able: the capability from which nothing counts as lost. unit: of the capability. paths: answers
    by kind of system, which speed up those of other alphas.
    """

    evaluation: SplitEvaluation
    texts: ReferenceTexts
    settings: RestoreSettings
    able: float
    unit: str = "share"
    paths: dict[type, Paths] = field(
        default_factory=lambda: {System: Paths(), ShiftedSystem: Paths()}
    )

    @property
    def rule(self) -> dict[str, Any]:
        """The rule as data."""
        return rule_facts(self.settings.loss_weights, self.evaluation.judged, self.unit)

    def run(self, method: Method) -> Generator[Measurement, None, list[TrialResult]]:
        """Give the rows of every candidate of a method, and return the results: each alpha of the
        dense veneer, then each rank at the best of them."""
        trials: list[TrialResult] = []
        alphas: list[Alpha | None] = [*self.settings.alphas_of(method.name)]
        for alpha in alphas or [None]:
            trials.append((yield from self._try(method.candidate(alpha, None))))
        if method.ranks:
            best = choose(trials, self.settings.loss_weights, self.able)
            for rank in dict.fromkeys(self.settings.ranks):
                trials.append((yield from self._try(method.candidate(best.alpha, rank))))
        return trials

    def _try(self, candidate: Candidate) -> Generator[Measurement, None, TrialResult]:
        system, roles = candidate.system, self.evaluation.roles
        scores = self.evaluation.measure(system, self.paths[type(system)])
        yield from self.evaluation.curve_rows(candidate.name, scores)
        yield from self.texts.rows(system)
        return TrialResult(
            candidate.name,
            candidate.strength(self.settings.validation_tokens),
            candidate.rank,
            self.evaluation.harm(scores),
            scores.values(roles.safe, "refusal_rate"),
            scores.values(roles.capability),
            candidate.alpha,
            self.evaluation.outcome_clusters(),
            self.unit,
        )

    def rows(
        self, method: str, trials: Sequence[TrialResult], chosen: TrialResult
    ) -> Iterator[Measurement]:
        """The loss of every candidate of a method, and which one was chosen."""
        weights, task = self.settings.loss_weights, task_names(self.evaluation.roles.measured())
        for trial in trials:
            yield Measurement.estimated(
                trial.loss(weights, self.able, seed=self.settings.seed),
                STUDY,
                task,
                "loss",
                trial.name,
                split="validation",
                unit="loss",
                of=method,
                facts={
                    **_settings_facts(trial),
                    "constant": trial.alpha is not None and trial.alpha.constant is not None,
                },
            )
        yield Measurement(
            STUDY,
            task,
            "chosen",
            method,
            chosen.strength,
            chosen.loss(weights, self.able).n,
            split="validation",
            unit="alpha",
            note=words.chosen_note(chosen.name, self.rule),
            facts={"candidate": chosen.name, **_settings_facts(chosen), "rule": self.rule},
        )


def _settings_facts(trial: TrialResult) -> dict[str, Any]:
    return {"alpha": None if trial.alpha is None else str(trial.alpha), "rank": trial.rank}
