"""A linear probe: what a linear function of hidden states tells of the kind of a prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from veneer.statistics.auroc import contributions

FOLDS = 10
INNER_FOLDS = 3
PENALTIES = tuple(float(10.0**k) for k in range(-3, 4))  # in units of the states' mean square


class Probe(NamedTuple):
    """scores (n,): of each prompt by a probe that has not seen it, nor any prompt of its group.
    folds: number of probes. penalties: the penalty that each of them chose."""

    scores: np.ndarray
    folds: int
    penalties: tuple[float, ...]


def cross_fitted_probe(
    states: np.ndarray, positive: np.ndarray, groups: Sequence[str], *, seed: int = 0
) -> Probe:
    """Scores of a ridge probe of states (n, d) for positive (n,), cross-fitted by group.

    Whole groups are dealt to FOLDS folds. The probe of a fold learns from all other folds: a ridge
    regression of the kind (+1, -1) on the states, in which both kinds have the same weight, so that
    a fold with more prompts of a kind does not shift the scores of the others. Its penalty is the
    one of PENALTIES with the highest AUROC in INNER_FOLDS folds of its own train part, dealt by
    group as well. Raises ValueError where either kind has fewer than two groups.
    """
    kind = np.asarray(positive, bool)
    _, ids = np.unique(np.asarray(groups), return_inverse=True)
    if min(len(np.unique(ids[kind])), len(np.unique(ids[~kind]))) < 2:
        raise ValueError("a probe needs two groups of prompts of either kind")
    x = np.asarray(states, float)
    gram = x @ x.T  # (n, n): all that a ridge regression needs of the states
    rng = np.random.default_rng(seed)
    scores, penalties = np.full(len(x), np.nan), []
    for train, test in _folds(ids, kind, FOLDS, rng):
        penalty = _penalty(gram[np.ix_(train, train)], kind[train], ids[train], rng)
        scores[test] = _fitted(gram, kind, train, test, [penalty])[0]
        penalties.append(penalty)
    return Probe(scores, len(penalties), tuple(penalties))


def _folds(
    ids: np.ndarray, kind: np.ndarray, count: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(train, test) places of each fold that leaves both kinds in its train part. Groups are dealt
    in a random order, each to the fold that has the fewest prompts of the group's kinds."""
    groups = rng.permutation(int(ids.max()) + 1)
    sizes = np.zeros((count, 2))
    fold_of = np.zeros(len(groups), int)
    for group in groups:
        own = ids == group
        counts = np.array([(own & kind).sum(), (own & ~kind).sum()])
        fold = int(np.argmin(sizes @ counts))
        fold_of[group] = fold
        sizes[fold] += counts
    for fold in range(count):
        test = np.flatnonzero(fold_of[ids] == fold)
        train = np.flatnonzero(fold_of[ids] != fold)
        if len(test) and 0 < kind[train].sum() < len(train):
            yield train, test


def _penalty(
    gram: np.ndarray, kind: np.ndarray, ids: np.ndarray, rng: np.random.Generator
) -> float:
    """The penalty with the highest AUROC within a train part; the largest one of equals."""
    _, ids = np.unique(ids, return_inverse=True)
    scores = np.full((len(PENALTIES), len(kind)), np.nan)
    for train, test in _folds(ids, kind, INNER_FOLDS, rng):
        scores[:, test] = _fitted(gram, kind, train, test, PENALTIES)
    known = ~np.isnan(scores[0])
    if not 0 < kind[known].sum() < known.sum():
        return PENALTIES[-1]
    areas = [contributions(s[known], kind[known]).mean() for s in scores]
    return PENALTIES[max(range(len(areas)), key=lambda i: (round(areas[i], 9), i))]


def _fitted(
    gram: np.ndarray,
    kind: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    penalties: Sequence[float],
) -> np.ndarray:
    """Scores (penalties, test) of ridge regressions in their dual form: states are centred half-way
    between the means of the two kinds, and prompt i has the weight w_i = 1 / (2 x number of its
    kind). With K the centred Gram matrix, D = diag(sqrt w) and D K D = U diag(e) U', the scores of
    penalty p are K_test D U diag(1 / (e + p mean K_ii)) U' D y."""
    y = np.where(kind[train], 1.0, -1.0)
    w = np.where(kind[train], 0.5 / kind[train].sum(), 0.5 / (~kind[train]).sum())
    own = gram[np.ix_(train, train)]
    means = own @ w  # of each train prompt with the centre
    middle = float(w @ means)
    k = own - means[:, None] - means[None, :] + middle
    across = gram[np.ix_(test, train)]
    across = across - (across @ w)[:, None] - means[None, :] + middle
    root = np.sqrt(w)
    values, vectors = np.linalg.eigh(root[:, None] * k * root[None, :])
    size = float(w @ np.diag(k)) or 1.0
    along = vectors.T @ (root * y)  # (train,)
    left = (across * root) @ vectors  # (test, train)
    return np.stack([left @ (along / (np.maximum(values, 0) + p * size)) for p in penalties])
