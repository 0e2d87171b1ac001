"""Similarities of a prompt's answers as matrices, and the means over pairs: one prompt at a time, so memory does not grow with prompts."""

from __future__ import annotations

from collections.abc import Sequence, Set

import numpy as np

from veneer.text import jaccard

FEW = 24  # answers to a prompt, from where on a matrix product is quicker (measured on answers of 200 words)

ROUNDING = 1e-6  # of a mean cosine of float32 vectors


def jaccard_matrix(a: Sequence[Set[str]], b: Sequence[Set[str]] | None = None) -> np.ndarray:
    """(n, m) Jaccard similarities of token sets; of `a` with itself without `b`. 1 for two empty sets."""
    if b is None and len(a) <= FEW:
        return _few(a)
    other = a if b is None else b
    place: dict[str, int] = {}
    left, right = _incidence(a, place), _incidence(other, place)
    width = len(place)
    x, y = _dense(left, width), _dense(right, width)
    both = x @ y.T  # exact: whole numbers far below 2**24
    either = x.sum(1)[:, None] + y.sum(1)[None] - both
    return np.divide(both, either, out=np.ones(both.shape), where=either > 0, dtype=np.float64)


def _few(sets: Sequence[Set[str]]) -> np.ndarray:
    """Of few sets: their intersections are quicker than a table of their words."""
    out = np.ones((len(sets), len(sets)))
    for i, x in enumerate(sets):
        for j in range(i):
            out[i, j] = out[j, i] = jaccard(x, sets[j])
    return out


def cosine_matrix(a: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
    """(n, m) cosines of rows (n, d) and (m, d), of any length; 0 where a row is all zeros, and 1 of two such rows."""
    x = _unit(a)
    y = x if b is None else _unit(b)
    empty_x, empty_y = np.all(x == 0, axis=1), np.all(y == 0, axis=1)
    return np.where(np.logical_and.outer(empty_x, empty_y), 1.0, np.clip(x @ y.T, -1.0, 1.0))


def mean_distance(similarity: np.ndarray) -> float | None:
    """Mean over the pairs i < j of 1 - similarity (n, n); None for fewer than two answers."""
    n = len(similarity)
    if n < 2:
        return None
    distance = float(1 - (similarity.sum() - np.trace(similarity)) / (n * (n - 1)))
    return distance if abs(distance) > ROUNDING else 0.0  # equal answers are equal, whatever float32 makes of their cosine


def mean_pairwise_jaccard_distance(sets: Sequence[Set[str]]) -> float | None:
    """Lexical diversity of one prompt's answers: mean over pairs of 1 - J; None for fewer than two."""
    return mean_distance(jaccard_matrix(sets))


def _incidence(sets: Sequence[Set[str]], place: dict[str, int]) -> list[list[int]]:
    return [[place.setdefault(t, len(place)) for t in s] for s in sets]


def _dense(rows: Sequence[Sequence[int]], width: int) -> np.ndarray:
    out = np.zeros((len(rows), width), np.float32)
    for row, columns in enumerate(rows):
        out[row, columns] = 1
    return out


def _unit(vectors: np.ndarray) -> np.ndarray:
    x = np.asarray(vectors, np.float64)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.divide(x, length, out=np.zeros_like(x), where=length > 0)
