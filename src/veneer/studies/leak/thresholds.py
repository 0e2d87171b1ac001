"""From where on a similarity counts: calibrated on texts that the model has not seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from veneer.statistics.intervals import Estimate, wilson_limits

PUBLISHED_COSINE = 0.95  # arXiv 2510.18554, of gemini-embedding-001


@dataclass(frozen=True, slots=True)
class Threshold:
    """value: a text counts from this similarity on; None where no threshold keeps the false rate,
    since held-out texts equal members too often. held_out: number of texts behind it and its false
    rate. false_rate: share of fresh held-out texts that count, with its interval; n counts these
    alone. calibrated_on: number of texts that set the threshold, 0 of one that is fixed."""

    value: float | None
    held_out: int
    false_rate: Estimate
    calibrated_on: int = 0

    @property
    def worth(self) -> float:
        """Number of texts whose interval the false rate has: the texts that set the threshold are a
        sample as well, so that two halves are worth a quarter of all (docs/leak.md)."""
        checked = self.false_rate.n
        return checked and 1 / (1 / checked + (1 / self.calibrated_on if self.calibrated_on else 0))

    def hits(self, scores: np.ndarray) -> np.ndarray:
        """Which of the scores count."""
        return np.zeros(len(scores), bool) if self.value is None else scores >= self.value


def least_threshold(scores: ArrayLike, false_rate: float) -> float | None:
    """The least value that at most a share `false_rate` of the scores reaches; None where even 1 is
    reached by more."""
    x = np.sort(np.asarray(scores, float))[::-1]
    allowed = math.floor(false_rate * len(x) + 1e-9)
    if allowed >= len(x):
        return 0.0
    value = float(np.nextafter(x[allowed], math.inf))
    return None if value > 1 else value


def calibrated(scores: np.ndarray, false_rate: float, seed: int) -> Threshold:
    """The threshold from one half of the held-out scores; its false rate on the other half.

    The interval allows for both halves: Wilson's with the harmonic mean of their sizes, so that it
    holds the rate aimed at, not only the rate of this one threshold (docs/leak.md has its
    coverage). scores: (n,) of distinct held-out texts.
    """
    order = np.random.default_rng(seed).permutation(len(scores))
    first, second = order[: len(order) // 2], order[len(order) // 2 :]
    value = least_threshold(scores[first], false_rate)
    if value is None:
        nothing = Estimate(None, None, None, 0, "wilson")
        return Threshold(None, len(scores), nothing, len(first))
    checked = _checked(scores[second] >= value, len(first))
    return Threshold(value, len(scores), checked, len(first))


def fixed(value: float, scores: np.ndarray) -> Threshold:
    """A threshold that was not calibrated here, with its false rate on all held-out scores."""
    return Threshold(value, len(scores), _wilson(scores >= value, len(scores)))


def _checked(hits: np.ndarray, calibrated_on: int) -> Estimate:
    """Rate of hits; its interval has the size that both halves are worth together."""
    return _wilson(hits, 1 / (1 / len(hits) + 1 / calibrated_on))


def _wilson(hits: np.ndarray, size: float) -> Estimate:
    """Share of hits with Wilson's score interval at an effective sample size."""
    share = float(hits.mean())
    return Estimate(share, *wilson_limits(share, size), len(hits), "wilson")


def shares_above(scores: np.ndarray, thresholds: Sequence[float]) -> list[float]:
    """Share of the scores that reach each threshold, for the chart."""
    return [round(float((scores >= t).mean()), 6) if len(scores) else 0.0 for t in thresholds]
