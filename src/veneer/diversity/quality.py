"""The quality filter: diversity of the answers that a judge finds good enough, beside the same prompts unfiltered (arXiv 2406.17692)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAST = 2  # answers that a prompt must keep: diversity is of pairs


@dataclass(frozen=True)
class Filtered:
    """threshold: of helpfulness. samples: answers kept in all. prompts: which keep two or more (indices). kept, unfiltered: (prompts,)
    diversity of the kept answers and of all judged answers to the same prompts."""

    threshold: float
    samples: int
    prompts: np.ndarray
    kept: np.ndarray
    unfiltered: np.ndarray


def keep(scores: Sequence[float | None], threshold: float) -> list[int]:
    """Which answers reach the threshold; one without a verdict does not."""
    return [i for i, s in enumerate(scores) if s is not None and s >= threshold]


def filtered(distances: Sequence[np.ndarray], scores: Sequence[Sequence[float | None]], threshold: float) -> Filtered:
    """distances: for each prompt the (n, n) distances of its answers. scores: for each prompt the n scores."""
    samples, found = 0, []
    for p, (d, s) in enumerate(zip(distances, scores, strict=True)):
        good = keep(s, threshold)
        samples += len(good)
        if len(good) >= LEAST:
            found.append((p, pair_mean(d[np.ix_(good, good)]), pair_mean(d)))
    rows = np.array(found, float).reshape(-1, 3)
    return Filtered(threshold, samples, rows[:, 0].astype(int), rows[:, 1], rows[:, 2])


def thresholds(scores: Sequence[Sequence[float | None]]) -> list[float]:
    """Every threshold that keeps something and drops something: the scores that occur, but the lowest."""
    return sorted({s for row in scores for s in row if s is not None})[1:]


def pair_mean(distances: np.ndarray) -> float:
    """Mean over pairs i < j."""
    n = len(distances)
    return float((distances.sum() - np.trace(distances)) / (n * (n - 1)))
