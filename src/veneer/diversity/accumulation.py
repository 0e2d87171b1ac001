"""How the words of m answers together grow with m: the incidence-based accumulation curve of ecology, with answers as sampling units.

Colwell et al. 2012, "Models and estimators linking individual-based and sample-based rarefaction, extrapolation and comparison of
assemblages" (Journal of Plant Ecology 5): exact within the sample (equation 17), Chao2 beyond it (equation 18).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from math import comb

import numpy as np


def accumulation(sets: Sequence[Set[str]], k: np.ndarray) -> np.ndarray:
    """S(k): expected size of the union of k answers, for each k (real, 0 or more), from n >= 2 answers; linear between whole numbers."""
    n = len(sets)
    frequency = Counter(Counter(t for s in sets for t in s).values())  # Q_f: words that f of the n answers hold
    inside = np.array([sum(q * (1 - comb(n - f, j) / comb(n, j)) for f, q in frequency.items()) for j in range(n + 1)])
    once, twice = frequency[1], frequency[2]
    unseen = (n - 1) / n * (once**2 / (2 * twice) if twice else once * (once - 1) / 2)
    beyond = np.maximum(k - n, 0.0)
    more = unseen * (1 - (1 - once / (n * unseen + once)) ** beyond) if unseen > 0 else np.zeros_like(beyond)
    return np.interp(k, np.arange(n + 1), inside) + more
