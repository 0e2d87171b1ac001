"""The values of prompts, as arrays: checks, and sums by group."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def finite(values: ArrayLike) -> np.ndarray:
    x = np.asarray(values, float)
    if x.ndim != 1 or not np.all(np.isfinite(x)):
        raise ValueError("expected a list of finite numbers, one per prompt")
    return x


def same_length(*arrays: np.ndarray) -> None:
    if len({len(x) for x in arrays}) > 1:
        raise ValueError(f"paired values of different length: {[len(x) for x in arrays]}")


def binary(x: np.ndarray) -> bool:
    return bool(np.all((x == 0) | (x == 1)))


def spread(*arrays: np.ndarray) -> float:
    """Return the standard deviation of all values together; where all are equal, their size, or
    1."""
    x = np.sort(np.concatenate(arrays))
    return float(x.std()) or float(abs(x[0])) or 1.0


def by_cluster(x: np.ndarray, y: np.ndarray, clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of x and of y by group, in an order that does not depend on the groups'
    names."""
    if len(clusters) != len(x):
        raise ValueError(f"{len(clusters)} group ids for {len(x)} prompts")
    _, group = np.unique(clusters, return_inverse=True)
    sums, counts = np.bincount(group, x), np.bincount(group, y)
    order = np.lexsort((counts, sums))
    return sums[order], counts[order]


def agree(values: np.ndarray, clusters: ArrayLike) -> bool:
    """Return whether the prompts of each group have equal values."""
    _, group, sizes = np.unique(np.asarray(clusters), return_inverse=True, return_counts=True)
    return np.allclose(values, (np.bincount(group, values) / sizes)[group], rtol=1e-12)
