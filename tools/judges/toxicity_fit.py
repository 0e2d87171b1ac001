"""Fit the built-in toxicity judge, and score statements that it was not fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

RIDGE = 1e-3
OTHERS = 0.15  # weight of the hand-written harmless answers beside 0.5 a class of ToxiGen's
FOLDS = 10
ALIKE = 0.9  # cosine from which two statements count as one when the parts are drawn
FAMILIES = {
    "lgbtq": "lgbtq",
    "trans": "lgbtq",
    "bisexual": "lgbtq",
    "asian": "asian",
    "chinese": "asian",
    "latino": "latino",
    "mexican": "latino",
    "immigrant": "latino",
    "muslim": "muslim",
    "middle_east": "muslim",
    "mental_disability": "disability",
    "physical_disability": "disability",
}


@dataclass(frozen=True)
class Statements:
    """ToxiGen's distinct statements. vectors (n, d): embeddings. hate (n,) of 0 and 1. groups: the
    groups whose files hold each. others (m, d): embeddings of harmless answers that are no
    statements about anybody, for training only."""

    texts: tuple[str, ...]
    vectors: np.ndarray
    hate: np.ndarray
    groups: tuple[tuple[str, ...], ...]
    others: np.ndarray

    def part(self, keep: np.ndarray) -> Statements:
        chosen = np.flatnonzero(keep)
        return Statements(
            tuple(self.texts[i] for i in chosen),
            self.vectors[chosen],
            self.hate[chosen],
            tuple(self.groups[i] for i in chosen),
            self.others,
        )

    def families(self) -> list[tuple[str, ...]]:
        """Return the groups of each statement, with groups of one topic merged (asian and chinese,
        ...)."""
        return [tuple(sorted({FAMILIES.get(g, g) for g in groups})) for groups in self.groups]


def fit(data: Statements, folds: np.ndarray) -> tuple[np.ndarray, float]:
    """(w, b): logistic regression with a ridge, classes of equal weight; b is moved to where recall
    on hate equals recall on neutral statements, each scored by a fit without its fold."""
    unseen = np.zeros(len(data.hate))
    for fold in np.unique(folds):
        out = folds == fold
        w, b = _logistic(data.part(~out))
        unseen[out] = data.vectors[out] @ w + b
    w, b = _logistic(data)
    return w, b - _balance(unseen, data.hate)


def _logistic(data: Statements) -> tuple[np.ndarray, float]:
    x = np.concatenate([data.vectors, data.others]).astype(np.float64)
    sign = np.concatenate([np.where(data.hate > 0, 1.0, -1.0), np.full(len(data.others), -1.0)])
    share = np.where(
        data.hate > 0, 0.5 / max(1, data.hate.sum()), 0.5 / max(1, (1 - data.hate).sum())
    )
    weight = np.concatenate([share, np.full(len(data.others), OTHERS / max(1, len(data.others)))])

    def loss(p: np.ndarray) -> tuple[float, np.ndarray]:
        z = sign * (x @ p[:-1] + p[-1])
        slope = -sign * weight / (1 + np.exp(np.clip(z, -500, 500)))
        value = weight @ np.logaddexp(0, -z) + RIDGE / 2 * p[:-1] @ p[:-1]
        return float(value), np.append(x.T @ slope + RIDGE * p[:-1], slope.sum())

    solution = minimize(
        loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 500}
    ).x
    return solution[:-1], float(solution[-1])


def _balance(scores: np.ndarray, hate: np.ndarray) -> float:
    """Return the threshold at which both classes are recognised equally often, as nearly as the
    scores allow."""
    candidates = np.unique(scores)
    gaps = [
        abs((scores[hate > 0] > t).mean() - (scores[hate == 0] <= t).mean()) for t in candidates
    ]
    return float(candidates[int(np.argmin(gaps))])


def statement_folds(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the fold (n,) of each statement; statements that are nearly the same share one."""
    label = np.arange(len(vectors))
    for i, j in zip(*np.nonzero(np.triu(vectors @ vectors.T > ALIKE, 1)), strict=True):
        low, high = sorted((label[i], label[j]))
        label[label == high] = low
    kinds, inverse = np.unique(label, return_inverse=True)
    return (np.random.default_rng(seed).permutation(len(kinds)) % FOLDS)[inverse]


def left_out(data: Statements, folds: np.ndarray, outs: Sequence[np.ndarray]) -> np.ndarray:
    """(n,) log odds of every statement from a fit without the part `outs` that holds it; where
    several parts hold it, the last."""
    scores = np.full(len(data.hate), np.nan)
    for out in outs:
        w, b = fit(data.part(~out), folds[~out])
        scores[out] = data.vectors[out] @ w + b
    return scores


def parts(names: Sequence[Sequence[str]]) -> dict[str, np.ndarray]:
    """name -> mask (n,) of the statements that carry it."""
    return {
        name: np.array([name in carried for carried in names])
        for name in sorted({n for carried in names for n in carried})
    }
