"""Five families of curves of a score by number of examples, fitted by likelihood.

Each is a weighted sum of columns that depend on one or two shapes, p(D) = w1 x1(D) + w2 x2(D), so
that a fit is a grid of shapes with the weights solved for at each. Many counts are fitted at once:
resamples, or counts without one seed.

Raghavendra, Nath and Hendryx 2024 (arXiv 2410.03717, Table 7) fit P = a D^(1/b) over D, P in per
cent; 1/b is the exponent here, and a the scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaln, gammaln, xlogy

CONSTANT, POWER, FLOOR, LOG, SATURATING = (
    "constant",
    "power",
    "power_above_floor",
    "logarithm",
    "saturating",
)
ITERATIONS = 4  # of reweighted least squares
REFINEMENTS = 3  # finer grids around the best shape
REACHED = 0.95  # share of the gain, for `examples_to`

Columns = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Family:
    """columns(sizes (m,), shapes (..., s)) gives x1 and x2, each (..., m). shapes: (G, s), the
    grid. steps: (s,), half the distance of two grid points. bounds: least and greatest weight, of
    both. from_0: whether the family has a value at 0 examples; otherwise size 0 is left out of its
    fit. single: whether x1 is all there is."""

    name: str
    columns: Columns
    shapes: np.ndarray
    steps: np.ndarray
    bounds: tuple[float, float]
    from_0: bool
    single: bool = False


@dataclass(frozen=True)
class Fit:
    """weights: (B, 2). shapes: (B, s). log_likelihood: (B,), binomial, in nats."""

    family: Family
    weights: np.ndarray
    shapes: np.ndarray
    log_likelihood: np.ndarray

    def at(self, sizes: Sequence[float] | np.ndarray) -> np.ndarray:
        """(B, m) scores at these sizes, between 0 and 1."""
        x1, x2 = self.family.columns(np.asarray(sizes, float), self.shapes)
        p = self.weights[:, :1] * x1 + self.weights[:, 1:] * x2
        return np.clip(p, 0.0, 1.0)


def _power_columns(sizes: np.ndarray, shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = _powers(sizes, shapes[..., :1])
    return x, np.zeros_like(x)


def _floor_columns(sizes: np.ndarray, shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = _powers(sizes, shapes[..., :1])
    return np.ones_like(x), x


def _powers(sizes: np.ndarray, exponents: np.ndarray) -> np.ndarray:
    """D^e, 0 at D = 0 whatever the exponent."""
    known = sizes > 0
    return np.where(known, np.exp(exponents * np.log(np.where(known, sizes, 1.0))), 0.0)


def _constant_columns(sizes: np.ndarray, shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = np.ones((*shapes.shape[:-1], len(sizes)))
    return x, np.zeros_like(x)


def _log_columns(sizes: np.ndarray, shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = np.broadcast_to(np.log(np.maximum(sizes, 1.0)), (*shapes.shape[:-1], len(sizes)))
    return np.ones_like(x), x


def _saturating_columns(sizes: np.ndarray, shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """c - (c - p0) r with r = (1 + D / D0)^-beta: the weights are c and p0. shapes: log D0 and
    log beta."""
    left = remaining(sizes, shapes)
    return 1 - left, left


def remaining(sizes: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """(..., m) share of the gain that a saturating curve has still before it."""
    scale, beta = np.exp(shapes[..., :1]), np.exp(shapes[..., 1:])
    return np.exp(-beta * np.log1p(sizes / scale))


def families(sizes: Sequence[int]) -> dict[str, Family]:
    """The five, with grids that suit the sizes."""
    positive = [s for s in sizes if s > 0]
    low, high = np.log(min(positive) / 64), np.log(max(positive) * 64)
    exponents = np.linspace(0.0, 1.5, 61)[:, None]
    scales, betas = np.linspace(low, high, 33), np.log([0.1, 0.2, 0.4, 0.7, 1.0, 2.0, 5.0, 25.0])
    pairs = np.array([(s, b) for s in scales for b in betas])
    none = np.zeros((1, 0))
    half = np.array([0.0125])
    steps = np.array([(high - low) / 64, np.log(1.4)])
    return {
        f.name: f
        for f in (
            Family(CONSTANT, _constant_columns, none, np.zeros(0), (0.0, 1.0), True, single=True),
            Family(POWER, _power_columns, exponents, half, (0.0, np.inf), False, single=True),
            Family(FLOOR, _floor_columns, exponents, half, (0.0, np.inf), True),
            Family(LOG, _log_columns, none, np.zeros(0), (-np.inf, np.inf), False),
            Family(SATURATING, _saturating_columns, pairs, steps, (0.0, 1.0), True),
        )
    }


def fit(family: Family, sizes: Sequence[int], hits: np.ndarray, trials: int | float) -> Fit:
    """The likeliest curve of each row of counts.

    hits: (B, m) successes at each size, of `trials` answers each; they need not be whole. Every
    refinement looks at a finer grid around the best shape of each row.
    """
    every = np.asarray(sizes, float)
    keep = np.ones(len(every), bool) if family.from_0 else every > 0
    x, k = every[keep], np.asarray(hits, float)[:, keep]
    best = _best(
        family, x, k, trials, np.broadcast_to(family.shapes, (len(k), *family.shapes.shape))
    )
    steps = family.steps
    for _ in range(REFINEMENTS if family.shapes.shape[1] else 0):
        offsets = np.array(np.meshgrid(*[(-1.0, -0.5, 0.0, 0.5, 1.0)] * len(steps))).reshape(
            len(steps), -1
        )
        near = best.shapes[:, None, :] + offsets.T[None] * steps
        if family.name in (POWER, FLOOR):
            near = np.clip(near, 0.0, 1.5)
        best = _best(family, x, k, trials, near)
        steps = steps / 4
    return best


def _best(
    family: Family, sizes: np.ndarray, hits: np.ndarray, trials: float, shapes: np.ndarray
) -> Fit:
    """The likeliest of the shapes (B, G, s), each with its best weights."""
    x1, x2 = family.columns(sizes, shapes)  # (B, G, m)
    k = hits[:, None, :]
    least = 0.5 / trials
    p = np.broadcast_to(np.clip(k / trials, least, 1 - least), x1.shape)
    weights = np.zeros((*x1.shape[:2], 2))
    for _ in range(ITERATIONS):
        weights = _solve(x1, x2, k / trials, 1 / (p * (1 - p)), family)
        p = np.clip(weights[..., :1] * x1 + weights[..., 1:] * x2, least, 1 - least)
    value = binomial(np.broadcast_to(k, p.shape), trials, p).sum(-1)  # (B, G)
    at = value.argmax(1)
    row = np.arange(len(at))
    return Fit(family, weights[row, at], shapes[row, at], value[row, at])


def _solve(
    x1: np.ndarray, x2: np.ndarray, y: np.ndarray, w: np.ndarray, family: Family
) -> np.ndarray:
    """Weighted least squares of y on x1 and x2 within the bounds: (..., 2)."""
    low, high = family.bounds
    a, c, e = (w * x1 * x1).sum(-1), (w * x2 * x2).sum(-1), (w * x1 * y).sum(-1)
    if family.single:
        one = np.clip(e / np.maximum(a, 1e-300), low, high)
        return np.stack([one, np.zeros_like(one)], -1)
    b, f = (w * x1 * x2).sum(-1), (w * x2 * y).sum(-1)
    det = a * c - b * b
    safe = np.where(det > 1e-12 * a * c, det, np.inf)
    free1, free2 = (c * e - b * f) / safe, (a * f - b * e) / safe
    inside = (
        (free1 >= low) & (free1 <= high) & (free2 >= low) & (free2 <= high) & (det > 1e-12 * a * c)
    )
    # on the boundary: one weight at a bound, the other solved for
    best, chosen = np.full(a.shape, np.inf), np.zeros((*a.shape, 2))
    for bound in (b_ for b_ in (low, high) if np.isfinite(b_)) if np.isfinite(low) else (0.0,):
        for first in (True, False):
            if first:
                u, v = bound, np.clip((f - b * bound) / np.maximum(c, 1e-300), low, high)
            else:
                u, v = np.clip((e - b * bound) / np.maximum(a, 1e-300), low, high), bound
            loss = a * u * u + 2 * b * u * v + c * v * v - 2 * e * u - 2 * f * v
            better = loss < best
            best = np.where(better, loss, best)
            chosen[..., 0] = np.where(better, u, chosen[..., 0])
            chosen[..., 1] = np.where(better, v, chosen[..., 1])
    return np.where(inside[..., None], np.stack([free1, free2], -1), chosen)


def binomial(hits: np.ndarray, trials: float, p: np.ndarray) -> np.ndarray:
    """Log likelihood in nats, without its constant."""
    return xlogy(hits, p) + xlogy(trials - hits, 1 - p)


def beta_binomial(
    hits: np.ndarray, trials: int, p: np.ndarray | float, correlation: float
) -> np.ndarray:
    """Log probability of counts, in nats. correlation: of two answers of one training run, 0 for
    the binomial; the variance of a share is p (1 - p) (1 + (n - 1) correlation) / n."""
    hits = np.asarray(hits, float)
    choose = gammaln(trials + 1) - gammaln(hits + 1) - gammaln(trials - hits + 1)
    q = np.clip(p, 0.5 / trials, 1 - 0.5 / trials)
    if correlation <= 0:
        return choose + binomial(hits, trials, q)
    s = 1 / correlation - 1
    return choose + betaln(hits + q * s, trials - hits + (1 - q) * s) - betaln(q * s, (1 - q) * s)


def seed_correlation(hits: np.ndarray, trials: int) -> float:
    """Correlation of two answers of one training run, beyond their size: by moments, from the
    spread of the seeds' counts at each size (Williams 1982, Applied Statistics 31).

    hits: (seeds, m). 0 for a single seed.
    """
    if len(hits) < 2:
        return 0.0
    p = hits.mean(0) / trials
    inner = (p > 0) & (p < 1)
    if not inner.any() or trials < 2:
        return 0.0
    spread = ((hits - hits.mean(0)) ** 2).sum(0)[inner] / (trials * p * (1 - p))[inner]
    excess = spread.sum() / (inner.sum() * (len(hits) - 1))
    return float(np.clip((excess - 1) / (trials - 1), 0.0, 0.99))


def held_out(sizes: Sequence[int], hits: np.ndarray, trials: int) -> dict[str, float]:
    """Family -> log likelihood in nats of each size above 0 by the curve fitted to all others,
    beta-binomial with one `seed_correlation` for all families. Empty below 4 sizes above 0.

    hits: (seeds, m) of `trials` answers each.
    """
    positive = [i for i, s in enumerate(sizes) if s > 0]
    if len(positive) < LEAST_SIZES:
        return {}
    correlation = seed_correlation(hits[:, positive], trials)
    scores = {}
    for name, family in families(sizes).items():
        total = 0.0
        for left in positive:
            rest = [i for i in range(len(sizes)) if i != left]
            pooled = hits[:, rest].sum(0, keepdims=True)
            one = fit(family, [sizes[i] for i in rest], pooled, trials * len(hits))
            p = one.at([sizes[left]])[0, 0]
            total += float(beta_binomial(hits[:, left], trials, p, correlation).sum())
        scores[name] = total
    return scores


LEAST_SIZES = 4  # above 0, to tell families apart
MARGIN = 2.0  # nats by which every rival must lose before a family is named


def told_apart(scores: dict[str, float]) -> str | None:
    """The family that beats every rival by more than MARGIN nats, or None."""
    if not scores:
        return None
    first, second = sorted(scores, key=lambda name: -scores[name])[:2]
    return first if scores[first] - scores[second] > MARGIN else None


def examples_to(one: Fit, share: float = REACHED) -> np.ndarray:
    """(B,) examples at which a saturating curve has made this share of its gain."""
    scale, beta = np.exp(one.shapes[:, 0]), np.exp(one.shapes[:, 1])
    return scale * np.expm1(-np.log1p(-share) / beta)
