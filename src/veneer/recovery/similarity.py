"""How similar two systems' answers are: one's sample 0 against the other's samples, mean and best."""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import ArrayLike


def expected_best(values: ArrayLike, m: int) -> float:
    """The mean, over all subsets of `m` of the n values, of the subset's largest: what the best of m candidates is worth.

    By order statistics: the j-th smallest value is the largest of C(j - 1, m - 1) of the C(n, m) subsets. Systems with different
    numbers of candidates are compared at one m; m = n is the plain maximum and m = 1 the mean. Raises ValueError where m is not in 1..n.
    """
    x = np.sort(np.asarray(values, float))
    n = len(x)
    if not 1 <= m <= n:
        raise ValueError(f"best of {m} of {n} values")
    if not np.all(np.isfinite(x)):
        raise ValueError("expected finite similarities")
    weights = np.array([comb(j, m - 1) / comb(n, m) for j in range(n)])  # C(j - 1, m - 1) with j from 1
    return float(weights @ x)


def means(found: list[np.ndarray]) -> np.ndarray:
    """(n,) mean similarity of each prompt's candidates; NaN for a prompt without any."""
    return np.array([x.mean() if len(x) else np.nan for x in found])


def bests(found: list[np.ndarray], m: int) -> np.ndarray:
    """(n,) expected best of m of each prompt's candidates; NaN for a prompt that has fewer than m."""
    return np.array([expected_best(x, m) if len(x) >= m else np.nan for x in found])


def common_count(counts: list[list[int]]) -> int:
    """The number of candidates at which the best of all systems is compared: the least of any system's usual (median) number.

    counts: of each system, its candidates at each prompt. A few prompts with fewer candidates (errors) are left out rather than
    drawing every system down to them; 0 where a system has none.
    """
    return min((int(np.median([c for c in some if c])) if any(some) else 0 for some in counts), default=0)
