"""Intervals of figures that rest on prompts and on training runs: every run answers the same
prompts, so both are drawn from a wider world.

Three spreads of a statistic are taken: with prompts resampled for all runs together (prompts, and
what single answers add), with prompts resampled for each run apart, and without each run in turn.
The third, less half of what single answers explain of it, is the spread of the runs. It is added to
the first with Student's t of runs - 1 degrees of freedom, because three runs tell little of their
own spread. Half: with all of it taken off, three runs that differ much are covered in 91 % only,
with none of it, runs that do not differ in 99.6 % (docs/curve.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from veneer.statistics.distributions import normal_quantile, student_quantile
from veneer.statistics.intervals import Estimate, Z, on_scale, wilson_limits

RESAMPLES, APART = 400, 200
EXPLAINED = 0.5  # of the spread that single answers explain, taken off that of the runs


@dataclass(frozen=True)
class Crossed:
    """Sums over runs and prompts of several quantities, for the statistic of each resample.

    rows: (1 + RESAMPLES + APART + runs, m) sums over `runs` x `n` answers: of all answers, of the
    resamples, and of all answers without each run, scaled to the number of all.
    """

    rows: np.ndarray
    runs: int
    n: int
    seed: int

    @classmethod
    def of(cls, outcomes: np.ndarray, seed: int = 0, clusters: np.ndarray | None = None) -> Crossed:
        """outcomes: (runs, m, n) of 0 and 1. clusters: one group id per prompt; whole groups are
        then resampled. Equal seeds draw the same prompts, so that two quantities of the same
        prompts can be compared resample by resample."""
        runs, m, n = outcomes.shape
        rng = np.random.default_rng(seed)
        y, sizes = by_cluster(outcomes, clusters)
        together = _counts(rng, sizes, RESAMPLES) @ y.sum(0).T  # (RESAMPLES, m)
        parts = [y.sum((0, 2))[None], together]
        if runs > 1:
            apart = (_counts(rng, sizes, APART) @ one.T for one in y)
            parts.append(sum(apart, np.zeros((APART, m))))
            parts.append((y.sum((0, 2))[None] - y.sum(2)) * runs / (runs - 1))
        return cls(np.concatenate(parts), runs, n, seed)

    @property
    def trials(self) -> int:
        """Answers behind each sum."""
        return self.runs * self.n

    def limits(self, values: np.ndarray) -> tuple[float, float]:
        """95 % limits of a statistic whose values for all `rows` are given, (rows, ...): arrays of
        its shape."""
        value, together = values[0], values[1 : 1 + RESAMPLES]
        draws = together + self._of_runs(values)
        low, high = np.quantile(draws, (0.025, 0.975), axis=0)
        return np.minimum(low, value), np.maximum(high, value)

    def _of_runs(self, values: np.ndarray) -> np.ndarray | float:
        """Deviations of the runs, one per resample."""
        if self.runs < 2:
            return 0.0
        together = values[1 : 1 + RESAMPLES]
        apart = values[1 + RESAMPLES : 1 + RESAMPLES + APART]
        without = values[1 + RESAMPLES + APART :]
        k = self.runs
        answers = np.maximum(0.0, (k * apart.var(0) - together.var(0)) / (k - 1))
        spread = (k - 1) / k * ((without - without.mean(0)) ** 2).sum(0)
        excess = np.sqrt(np.maximum(0.0, spread - EXPLAINED * answers))
        draw = np.random.default_rng(self.seed + 1).standard_t(k - 1, size=RESAMPLES)
        return draw.reshape(-1, *[1] * (values.ndim - 1)) * excess


def by_cluster(outcomes: np.ndarray, clusters: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Sums over the prompts of each cluster, (..., n) to (..., k), and the clusters' sizes (k,).
    clusters: one group id per prompt; without them every prompt stands by itself."""
    y = outcomes.astype(float)
    if clusters is None:
        return y, np.ones(y.shape[-1])
    _, group = np.unique(clusters, return_inverse=True)
    members = (group[:, None] == np.arange(group.max(initial=-1) + 1)).astype(float)
    return y @ members, members.sum(0)


def _counts(rng: np.random.Generator, sizes: np.ndarray, draws: int) -> np.ndarray:
    """(draws, k): how often each cluster is in each resample, scaled to the number of all
    prompts."""
    k = len(sizes)
    counts = rng.multinomial(k, np.full(k, 1 / k), size=draws).astype(float)
    return counts * (sizes.sum() / (counts @ sizes))[:, None]


def crossed_rate(outcomes: ArrayLike, clusters: np.ndarray | None = None) -> Estimate:
    """Mean of shares (runs, n), every run over the same n prompts: Wilson with the effective number
    of answers that the variance leaves. The variance has two parts, as above, here by two-way
    components of variance; n: prompts. Where all answers are equal, Wilson over the prompts.

    clusters: one group id per prompt. The components are then those of the clusters' sums, and the
    prompts' part has Student's t of one degree of freedom less than there are clusters.
    """
    y = np.asarray(outcomes, float)
    runs, n = y.shape
    p = float(y.mean())
    sums, sizes = by_cluster(y, clusters)
    k = len(sizes)
    if clusters is not None and (runs == 1 or k < 2):
        return on_scale(y.mean(0), 0, 1, clusters=clusters)
    if p in (0.0, 1.0):
        return Estimate(p, *wilson_limits(p, k), n, "wilson")
    if runs == 1 or n < 2:
        return _plain(y.mean(0))
    by_prompt, by_run = sums.mean(0), y.mean(1)
    rest = sums - by_prompt - (by_run[:, None] - p) * sizes
    prompts = k / (k - 1) * float(((by_prompt - p * sizes) ** 2).sum()) / n**2
    if clusters is not None:
        prompts *= (float(student_quantile(0.975, k - 1)) / Z) ** 2
    answers = k / n * float((rest**2).sum()) / ((k - 1) * (runs - 1))
    excess = max(0.0, n * by_run.var(ddof=1) - EXPLAINED * answers)
    half = _half_width(prompts, excess / (n * runs), runs - 1)
    size = p * (1 - p) * (Z / half) ** 2 if half > 0 else k
    low, high = wilson_limits(p, min(size, k * runs))
    return Estimate(p, low, high, n, "wilson-crossed")


def _half_width(normal: float, student: float, freedom: int) -> float:
    """95 % of |x + y| lie below it: x normal, y Student's, with these variances of their scale."""
    at = (np.arange(400) + 0.5) / 400
    x, y = normal_quantile(at) * np.sqrt(normal), student_quantile(at, freedom) * np.sqrt(student)
    return float(np.quantile(np.abs(x[:, None] + y), 0.95))


def _plain(shares: np.ndarray) -> Estimate:
    p, n = float(shares.mean()), len(shares)
    low, high = wilson_limits(p, n)
    return Estimate(p, low, high, n, "wilson")
