"""AUROC: how well a score tells the prompts of one set from those of another.

AUROC is the chance that a prompt of the first set has a higher score than one of the second, ties
counted as half (Mann & Whitney 1947). 1/2 is a score that tells nothing, 1 one that tells all.
Only the order of the scores matters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from veneer.statistics.distributions import student_quantile
from veneer.statistics.intervals import Estimate, Z, wilson_limits
from veneer.statistics.reasons import Reason

METHOD = "delong-wilson"


def contributions(scores: ArrayLike, positive: ArrayLike) -> np.ndarray:
    """One value per prompt (n,), whose mean is the AUROC and whose spread is that of the AUROC.

    They are the structural components of DeLong, DeLong & Clarke-Pearson 1988 ("Comparing the areas
    under two or more correlated receiver operating characteristic curves", Biometrics 44): for a
    prompt of the first set, the share of the second set below it, and for one of the second set the
    share of the first set above it. Each is stretched around the AUROC by n / (size of its set). So
    the sum of squares around the mean over n^2 is DeLong's variance, up to m / (m - 1) in each set,
    and means, differences and portions of these values are those of AUROCs, paired between systems.

    scores: (n,), any numbers without NaN. positive: (n,), whether a prompt is of the first set.
    Raises ValueError where one of the sets is empty, or where a score is NaN.
    """
    x, first = np.asarray(scores, float), np.asarray(positive, bool)
    if x.shape != first.shape or x.ndim != 1 or np.isnan(x).any():
        raise ValueError("expected one score per prompt, and no NaN")
    above, below = x[first], x[~first]
    if not len(above) or not len(below):
        raise ValueError("one of the two sets of prompts is empty")
    own = np.empty(len(x))
    own[first] = _share_below(above, below)
    own[~first] = 1 - _share_below(below, above)
    area = own[first].mean()
    stretch = np.where(first, len(x) / len(above), len(x) / len(below))
    return area + (own - area) * stretch


def auroc(scores: ArrayLike, positive: ArrayLike, *, clusters: ArrayLike | None = None) -> Estimate:
    """AUROC of scores (n,) for the prompts of the first set against the others, with its 95 %
    interval.

    The variance is DeLong's, and in clusters that of the clusters' sums, as Obuchowski 1997
    ("Nonparametric analysis of clustered ROC curve data", Biometrics 53). The limits are Wilson's,
    for the number of prompts at which a share of the same value would have this variance. So they
    keep to [0, 1]. That number is at most 4 m k / (m + k) for sets of m and k prompts or clusters,
    which is the limit of Hanley & McNeil's variance (1982, Radiology 143) near 1 in the symmetric
    form of Newcombe 2006 (Statistics in Medicine 25, method 5): the interval has a width even where
    the sets are told apart without an error. Student's t takes the place of z, so that two prompts
    against two, which a score without meaning tells apart one time in three, do not exclude 1/2.
    clusters: a group id per prompt.

    Value None where one of the sets is empty, limits None where one has a single prompt or cluster.
    """
    x, first = np.asarray(scores, float), np.asarray(positive, bool)
    n = len(x)
    if not first.any() or first.all():
        return Estimate(None, None, None, n, METHOD, reason=Reason("one_set_is_empty"))
    own = contributions(x, first)
    area = float(np.clip(own.mean().round(12), 0, 1))
    ids = np.arange(n) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    sizes = [len(np.unique(ids[side])) for side in (first, ~first)]
    if min(sizes) < 2:
        return Estimate(area, None, None, n, METHOD, reason=Reason("one_group"))
    groups = int(ids.max()) + 1
    if clusters is None:
        variance = sum(
            float(np.var(own[side] * side.sum() / n, ddof=1)) / side.sum()
            for side in (first, ~first)
        )
    else:
        sums = np.bincount(ids, own - own.mean())
        variance = groups / (groups - 1) * float(sums @ sums) / n**2
    size = 4 * sizes[0] * sizes[1] / sum(sizes)
    if 0 < area < 1 and variance > 1e-12:
        size = min(size, area * (1 - area) / variance)
    freedom = n - 2 if clusters is None else groups - 1
    size *= (Z / float(student_quantile(0.975, freedom))) ** 2
    reason = None
    if clusters is not None:
        reason = Reason.of("effective_size", groups=groups, size=size)
    low, high = wilson_limits(area, size)
    return Estimate(area, low, high, n, METHOD, reason=reason)


def roc_curve(scores: ArrayLike, positive: ArrayLike) -> list[tuple[float, float]]:
    """The corners (share of the second set, share of the first set) above each threshold, from
    (0, 0) to (1, 1). The area below the lines between them is the AUROC. No corners where one of
    the sets is empty."""
    x, first = np.asarray(scores, float), np.asarray(positive, bool)
    if not first.any() or first.all():
        return []
    order = np.argsort(-x, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(x[order])), len(x) - 1)
    up = np.cumsum(first[order])[ends] / first.sum()
    right = np.cumsum(~first[order])[ends] / (~first).sum()
    points = [(0.0, 0.0), *zip(right.tolist(), up.tolist(), strict=True)]
    inner = (
        b
        for a, b, c in zip(points, points[1:], points[2:], strict=False)
        if not (a[0] == b[0] == c[0] or a[1] == b[1] == c[1])  # on a level or upright line
    )
    return [points[0], *inner, points[-1]]


def _share_below(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Share of `others` below each value (n,), ties as half."""
    ordered = np.sort(others)
    low, high = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return (low + high) / (2 * len(others))
