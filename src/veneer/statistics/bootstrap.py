"""The bootstrap of a ratio of sums over prompts, and its limits."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import ArrayLike

from veneer.statistics.distributions import normal_cdf, normal_quantile, student_quantile

RESAMPLES = 4000
LEAST_FOR_BCA = 10  # below this many prompts the acceleration is mostly noise
LEAST_SPREAD = 0.1  # of the sample's standard error; below it, a resample's t is without bound
_CACHED_SIZE = 500  # prompts; larger samples are drawn in blocks and not kept
_BLOCK = 2_000_000  # entries of a block of counts


def count_groups(n: int, clusters: ArrayLike | None) -> int:
    """Return how many of n prompts are independent: the number of their groups."""
    return n if clusters is None else len(np.unique(np.asarray(clusters)))


def ratios(numerators: np.ndarray, denominators: np.ndarray, seed: int) -> np.ndarray:
    """Return (RESAMPLES,) sum/sum over prompts drawn with replacement, without draws whose
    denominators sum to 0."""
    top, bottom = sums(np.stack([numerators, denominators], 1), seed).T
    keep = bottom != 0
    return top[keep] / bottom[keep]


def sums(columns: np.ndarray, seed: int) -> np.ndarray:
    """Return (RESAMPLES, m): sums of columns (n, m) over prompts drawn with replacement."""
    n = len(columns)
    if n <= _CACHED_SIZE:
        return _counts(n, seed) @ columns
    rng, size = np.random.default_rng(seed), max(1, _BLOCK // n)
    blocks = (_draw(rng, n, min(size, RESAMPLES - at)) for at in range(0, RESAMPLES, size))
    return np.concatenate([block @ columns for block in blocks])


def studentised(
    numerators: np.ndarray, denominators: np.ndarray, seed: int, level: float = 0.95
) -> tuple[float, float] | None:
    """Limits of sum/sum by the bootstrap-t (Efron 1982, "The jackknife, the bootstrap and other
    resampling plans"; Hall 1988, Annals of Statistics 16): each resample's distance from the value
    is counted in the resample's own standard error, and the quantiles of these t take the place of
    Student's. So a sample with a long tail reaches further on the side of the tail.

    None where so many resamples have hardly a spread of their own that a limit has no bound: values
    of which most are nearly equal, and a few far away.
    """
    value = numerators.sum() / denominators.sum()
    rest, y = numerators - value * denominators, denominators  # each prompt's part of the error
    moved, total, rr, ry, yy = sums(np.stack([rest, y, rest**2, rest * y, y**2], 1), seed).T
    keep = total > 0
    moved, total, rr, ry, yy = (column[keep] for column in (moved, total, rr, ry, yy))
    off = moved / total  # resampled value, less the value
    error = np.sqrt(np.maximum(rr - 2 * off * ry + off**2 * yy, 0)) / total
    whole = np.sqrt(float(rest @ rest)) / y.sum()
    at = np.where(np.abs(off) <= 1e-7 * whole, 0.0, np.where(off < 0, -np.inf, np.inf))
    np.divide(off, error, out=at, where=error > LEAST_SPREAD * whole)
    ends = np.quantile(at, (0.5 - level / 2, 0.5 + level / 2), method="inverted_cdf")
    if not np.isfinite(ends).all():
        return None
    return float(value - ends[1] * whole), float(value - ends[0] * whole)


@functools.lru_cache(maxsize=8)
def _counts(n: int, seed: int) -> np.ndarray:
    return _draw(np.random.default_rng(seed), n, RESAMPLES)


def _draw(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    """Return (size, n): how often each prompt is in each resample."""
    picks = rng.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
    return np.bincount(picks.ravel(), minlength=size * n).reshape(size, n).astype(float)


def limits(
    value: float, resampled: np.ndarray, left_out: np.ndarray, level: float = 0.95
) -> tuple[float, float, str]:
    """(low, high, method) of a statistic of n = len(left_out) prompts.

    BCa (Efron 1987, "Better bootstrap confidence intervals", JASA 82) from LEAST_FOR_BCA prompts
    on, below that the percentile interval. Both are widened for small n as Hesterberg 2015 ("What
    teachers should know about the bootstrap", The American Statistician 69, section 4.2): the
    normal quantile z becomes t with n - 1 degrees of freedom times sqrt(n / (n - 1)), because a
    bootstrap's spread is that of the sample, with n and not n - 1 under the root. left_out: the
    statistic without each prompt in turn (jackknife).
    """
    n = len(left_out)
    z = np.array([-1.0, 1.0]) * student_quantile(0.5 + level / 2, n - 1) * np.sqrt(n / (n - 1))
    at, method = normal_cdf(z), "percentile"
    ties = np.abs(resampled - value) <= 1e-9 * np.abs(resampled).max()
    below = np.sum((resampled < value) & ~ties) + 0.5 * np.sum(ties)
    bias = normal_quantile(below / len(resampled))
    from_mean = left_out.mean() - left_out
    spread = float(np.sum(from_mean**2))
    if n >= LEAST_FOR_BCA and np.isfinite(bias) and spread > 0:
        acceleration = np.sum(from_mean**3) / (6 * spread**1.5)
        stretch = 1 - acceleration * (bias + z)
        if np.all(stretch > 0):
            at, method = normal_cdf(bias + (bias + z) / stretch), "bca"
    low, high = np.quantile(resampled, at)
    return min(float(low), value), max(float(high), value), method
