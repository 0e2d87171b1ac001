"""Differences between systems, corrected for their number: exact or permutation p values and Holm's
adjustment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from veneer.statistics import intervals
from veneer.statistics.distributions import binomial_cdf

DRAWS = 20_000  # sign flips: the least p value is 1 in 20,001
CHUNK = 2_000_000  # signs held at once


@dataclass(frozen=True, slots=True)
class Comparison:
    """One difference. difference: mean(a) - mean(b) with its own 95 % interval. p: two-sided p
    value of no difference. adjusted: p after Holm's adjustment over `family` comparisons."""

    difference: intervals.Estimate
    p: float
    adjusted: float
    family: int


def compare(
    pairs: Sequence[tuple[ArrayLike, ArrayLike]],
    *,
    seed: int = 0,
    clusters: ArrayLike | None = None,
) -> list[Comparison]:
    """Compare each pair of systems on the prompts that the pair shares; all pairs are one family.
    clusters: one group id per prompt, the same for all pairs."""
    tested = [
        (
            intervals.difference(a, b, seed=seed, clusters=clusters),
            p_value(a, b, seed=seed, clusters=clusters),
        )
        for a, b in pairs
    ]
    adjusted = holm([p for _, p in tested])
    return [Comparison(e, p, q, len(pairs)) for (e, p), q in zip(tested, adjusted, strict=True)]


def p_value(
    a: ArrayLike, b: ArrayLike, *, seed: int = 0, clusters: ArrayLike | None = None
) -> float:
    """Two-sided p value of no difference between paired values.

    0/1 values: McNemar's exact test, a sign test on the prompts where the two differ (McNemar 1947,
    Psychometrika 12). Otherwise, and in clusters: a sign-flip permutation test of the mean
    difference (Fisher 1935), by prompt or whole cluster, with (1 + hits) / (1 + draws) as its p
    value (Phipson & Smyth 2010).
    """
    x, y = np.asarray(a, float), np.asarray(b, float)
    if x.shape != y.shape or x.ndim != 1 or not len(x):
        raise ValueError(f"paired values of different length, or none: {x.shape}, {y.shape}")
    d = x - y
    if clusters is None and set(np.unique([x, y])) <= {0.0, 1.0}:
        won, lost = int((d > 0).sum()), int((d < 0).sum())
        return min(1.0, 2 * binomial_cdf(min(won, lost), won + lost, 0.5))
    if clusters is not None:
        _, group = np.unique(np.asarray(clusters), return_inverse=True)
        d = np.bincount(group, d)
    d = np.sort(d[d != 0])  # the same draws whatever the order of the prompts
    if not len(d):
        return 1.0
    rng, hits, done = np.random.default_rng(seed), 0, 0
    bound = abs(d.sum()) - 1e-12 * np.abs(d).sum()
    while done < DRAWS:
        rows = min(max(1, CHUNK // len(d)), DRAWS - done)
        signs = rng.integers(0, 2, (rows, len(d)), dtype=np.int8) * 2 - 1
        hits += int((np.abs(signs @ d) >= bound).sum())
        done += rows
    return (1 + hits) / (1 + DRAWS)


def holm(p: Sequence[float]) -> list[float]:
    """p values adjusted by Holm's step-down procedure (1979, Scandinavian J. of Statistics 6): the
    chance of one false finding or more in the family stays at or below the level."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    adjusted, least = [1.0] * len(p), 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, (len(p) - rank) * p[i]))
        adjusted[i] = least
    return adjusted


def sign_flips(values: ArrayLike, *, seed: int = 0, draws: int = 2000) -> np.ndarray:
    """Two-sided p value of each column of `values` (n, m) having mean 0, adjusted for the family of
    all m: under the null the sign of each row is exchangeable, as where two systems are swapped at
    random in each of n independent texts.

    The statistic is |mean| / root mean square, and each is compared with the largest of the family
    in every draw (Westfall & Young 1993, single-step max-T), so the chance of one false finding or
    more is at most the level whatever the columns' dependence. The least p is 1 / (1 + draws).
    """
    x = np.asarray(values, float)
    if x.ndim != 2 or not len(x):
        raise ValueError(f"expected values of n rows and m columns, found the shape {x.shape}")
    if not x.shape[1]:
        return np.zeros(0)
    size = np.sqrt((x**2).sum(0))
    x = np.divide(x, size, out=np.zeros_like(x), where=size > 0)  # unit columns: no flip changes it
    observed = np.abs(x.sum(0))
    rng = np.random.default_rng(seed)
    signs = rng.integers(0, 2, (draws, len(x)), dtype=np.int8) * 2 - 1
    largest = np.abs(signs @ x).max(1)
    hits = (largest[:, None] >= observed * (1 - 1e-12)).sum(0)
    return np.asarray((1 + hits) / (1 + draws), float)
