"""Agreement of two judges on the same answers: raw agreement, Cohen's kappa with its interval, the
confusion table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from veneer.statistics import intervals
from veneer.statistics.distributions import student_quantile
from veneer.statistics.intervals import Estimate, Z
from veneer.statistics.reasons import Reason

Weights = Literal["none", "linear", "quadratic"]
PRIOR = 2.0  # answers that the interval's moments hold more, spread evenly over the table


@dataclass(frozen=True)
class Agreement:
    """categories: the values that either judge gave, in order. table: (k, k) counts, the first
    judge's values in rows. raw: share of answers with equal values. kappa: Cohen's, unweighted.
    weighted: with quadratic weights over the values, for scales; None for two categories, where it
    is the same."""

    categories: tuple[float, ...]
    table: np.ndarray
    raw: Estimate
    kappa: Estimate
    weighted: Estimate | None


def agreement(
    a: Sequence[float], b: Sequence[float], clusters: ArrayLike | None = None, *, seed: int = 0
) -> Agreement:
    """Measure the agreement of paired values. clusters: one id per pair, the same for answers that
    are not independent (to one prompt, to prompts of one cluster). n counts clusters."""
    x, y = np.asarray(a, float), np.asarray(b, float)
    if x.shape != y.shape or x.ndim != 1 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("expected two lists of finite values of the same length")
    categories, place = np.unique(np.concatenate([x, y]), return_inverse=True)
    i, j = place[: len(x)], place[len(x) :]
    k = len(categories)
    table = np.zeros((k, k), int)
    np.add.at(table, (i, j), 1)
    group = (
        np.arange(len(x))
        if clusters is None
        else np.unique(np.asarray(clusters), return_inverse=True)[1]
    )
    same = (x == y).astype(float)
    prompts = len(np.unique(group))
    raw = intervals.mean(same, seed=seed, clusters=None if prompts == len(x) else group)
    raw = Estimate(raw.value, raw.low, raw.high, prompts, raw.method, raw.note, raw.reason)
    weighted = kappa(i, j, group, categories, "quadratic") if k > 2 else None
    return Agreement(
        tuple(map(float, categories)), table, raw, kappa(i, j, group, categories, "none"), weighted
    )


def kappa(
    i: np.ndarray, j: np.ndarray, group: np.ndarray, categories: np.ndarray, weights: Weights
) -> Estimate:
    """Cohen's kappa (1960; weighted: Cohen 1968, Psychological Bulletin 70) of category numbers i
    and j, with a 95 % interval.

    The variance is the large-sample one of Fleiss, Cohen & Everitt 1969 (Psychological Bulletin 72,
    equation 13), written as the spread of each answer's influence, so that answers to one prompt
    can be summed (`group`) before they are squared. So that it does not collapse where judges agree
    on all answers, its moments hold PRIOR answers more, spread evenly over the table, and the
    interval is centred on the kappa of that table and reaches the observed one. Coverage by
    simulation: docs/judges.md. None where both judges gave one and the same value throughout:
    chance agreement is then complete and kappa is 0 / 0.
    """
    prompts, k = len(np.unique(group)), len(categories)
    if not len(i):
        return Estimate(None, None, None, 0, "kappa", reason=Reason("no_common_answers"))
    if k < 2:
        return Estimate(None, None, None, prompts, "kappa", reason=Reason("one_value"))
    w = agreement_weights(categories, weights)
    p = np.zeros((k, k))
    np.add.at(p, (i, j), 1.0)
    value = _kappa(p / len(i), w)[0]
    q = (p + PRIOR / k**2) / (len(i) + PRIOR)
    centre, influence = _kappa(q, w)
    sums = np.bincount(np.unique(group, return_inverse=True)[1], influence[i, j])
    more = prompts / (prompts - 1) if prompts > 1 else 1.0
    square = more * float(np.sum(sums**2)) + PRIOR / k**2 * float(np.sum(influence**2))
    t = float(student_quantile(0.975, max(prompts - 1, 1)))
    error = t * float(np.sqrt(square)) / (len(i) + PRIOR)
    low, high = max(-1.0, min(centre - error, value)), min(1.0, max(centre + error, value))
    return Estimate(value, low, high, prompts, "fleiss-cohen-everitt-prior")


def agreement_weights(categories: np.ndarray, weights: Weights) -> np.ndarray:
    """(k, k), 1 for equal values; linear and quadratic fall with the distance of the values
    themselves, not of their ranks."""
    if weights == "none":
        return np.eye(len(categories))
    distance = np.abs(categories[:, None] - categories[None]) / (
        categories.max() - categories.min()
    )
    return 1 - distance ** (2 if weights == "quadratic" else 1)


def _kappa(p: np.ndarray, w: np.ndarray) -> tuple[float, np.ndarray]:
    """Kappa of a table of shares, and the influence of an answer in each of its cells
    (mean 0 under p)."""
    rows, columns = p.sum(1), p.sum(0)
    by_chance = float(rows @ w @ columns)
    value = (float(np.sum(p * w)) - by_chance) / (1 - by_chance)
    expected = (w @ columns)[:, None] + (rows @ w)[None, :]
    influence = w - expected * (1 - value) - (value - by_chance * (1 - value))
    return value, influence / (1 - by_chance)


def balanced_accuracy(
    truth: Sequence[float], given: Sequence[float], clusters: ArrayLike | None = None
) -> Estimate:
    """Mean over the true classes of the share of each that was found. truth, given: values of each
    answer. clusters: as in `agreement`.

    The interval is that of Price & Bonett 2004 ("An improved confidence interval for a linear
    function of binomial proportions", Computational Statistics & Data Analysis 45), which adds
    2 / k hits and as many misses to each of k classes; MOVER with Wilson limits, which was tried,
    holds the truth in 87 % at 8 answers and shares of 0.9. In clusters a class counts as many
    answers as its rate's effective sample size. None where the truth has one class alone.
    """
    x, y = np.asarray(truth, float), np.asarray(given, float)
    group = np.arange(len(x)) if clusters is None else np.asarray(clusters)
    n, classes = len(np.unique(group)), np.unique(x)
    if len(classes) < 2:
        return Estimate(None, None, None, n, "price-bonett", reason=Reason("one_class"))
    repeated = n < len(x)
    shares, sizes = np.array(
        [_share_and_size((y == c)[x == c], group[x == c] if repeated else None) for c in classes]
    ).T
    value, added = float(shares.mean()), 2 / len(classes)
    shrunk = (shares * sizes + added) / (sizes + 2 * added)
    variance = float(np.sum(shrunk * (1 - shrunk) / (sizes + 2 * added))) / len(classes) ** 2
    centre, half = float(shrunk.mean()), Z * float(np.sqrt(variance))
    low, high = max(0.0, min(centre - half, value)), min(1.0, max(centre + half, value))
    return Estimate(value, low, high, n, "price-bonett")


def _share_and_size(hits: np.ndarray, clusters: np.ndarray | None) -> tuple[float, float]:
    """The share of hits, and how many independent answers it counts for."""
    e = intervals.mean(hits.astype(float), clusters=clusters)
    size = len(hits) if e.reason is None else dict(e.reason.values)["size"]
    return float(hits.mean()), float(size)
