"""Vendi score: the effective number of different answers, from the eigenvalues of their similarities.

Friedman and Dieng 2023, "The Vendi Score" (TMLR, arXiv 2210.02410); the order q: Pasarkar and Dieng 2023, "Cousins of the Vendi Score"
(arXiv 2310.12952). 1 for n equal answers, n for n that have nothing in common.
"""

from __future__ import annotations

import numpy as np

from veneer.errors import InputError

ORDERS = (0.0, 0.5, 1.0, 2.0, np.inf)


def vendi_score(similarity: np.ndarray, q: float = 1.0) -> float | None:
    """exp of the Renyi entropy of order q of the eigenvalues of similarity / n, (n, n), symmetric, positive semidefinite, ones on its
    diagonal. q = 0: their number; 1: exp of Shannon's entropy; 2: 1 / sum of squares; inf: 1 / the largest. None for no answers."""
    if not q >= 0:
        raise InputError(f"the order of the Vendi score is {q}; expected 0 or more")
    n = len(similarity)
    if not n:
        return None
    values = np.linalg.eigvalsh((similarity + similarity.T) / (2 * n))
    values = values[values > 1e-9]  # what is left of eigenvalues 0 after rounding; q = 0 counts the others
    values = values / values.sum()
    if q == 0:
        return float(len(values))
    if q == 1:
        return float(np.exp(-(values * np.log(values)).sum()))
    if np.isinf(q):
        return float(1 / values.max())
    return float((values**q).sum() ** (1 / (1 - q)))


def order_name(q: float) -> str:
    """As in the names of metrics: vendi_q1, vendi_q0.5, vendi_qinf."""
    return "qinf" if np.isinf(q) else f"q{q:g}"
