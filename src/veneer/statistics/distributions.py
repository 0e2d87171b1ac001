"""The normal, Student's and the binomial distribution: those of `scipy.stats`, whose import takes a
second, for which every command would wait."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, expit, ndtr, ndtri, stdtr, stdtrit


def normal_cdf(x: ArrayLike) -> Any:
    """P(X <= x) of the standard normal distribution."""
    return ndtr(x)


def normal_quantile(p: ArrayLike) -> Any:
    """x with P(X <= x) = p."""
    return ndtri(p)


def logistic(x: ArrayLike) -> Any:
    """The share whose log-odds are x."""
    return expit(x)


def student_quantile(p: ArrayLike, freedom: ArrayLike) -> Any:
    """x with P(T <= x) = p, of Student's distribution; nan without a degree of freedom."""
    return stdtrit(freedom, p)


def student_above(x: ArrayLike, freedom: ArrayLike) -> Any:
    """P(T > x) of Student's distribution."""
    return stdtr(freedom, -np.asarray(x))


def binomial_cdf(k: int, n: int, p: float) -> float:
    """P(X <= k) of n trials that succeed with probability p."""
    return float(bdtr(k, n, p))
