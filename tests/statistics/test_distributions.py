"""The distributions are those of `scipy.stats`."""

import numpy as np
import pytest
from scipy import stats

from veneer.statistics.distributions import (
    binomial_cdf,
    normal_cdf,
    normal_quantile,
    student_above,
    student_quantile,
)


def test_normal():
    x = np.linspace(-9, 9, 181)
    assert np.array_equal(normal_cdf(x), stats.norm.cdf(x))
    p = np.linspace(0, 1, 101)
    assert np.array_equal(normal_quantile(p), stats.norm.ppf(p))


@pytest.mark.parametrize("p", [1e-9, 0.025, 0.5, 0.975])
def test_student(p):
    freedom = np.array([0, 0.5, 1, 2, 3, 9, 200, 1e9, np.inf])
    assert np.allclose(
        student_quantile(p, freedom), stats.t.ppf(p, freedom), rtol=1e-12, equal_nan=True
    )
    assert np.isnan(student_quantile(p, 0))


def test_students_upper_tail():
    x = np.linspace(-40, 40, 161)
    for freedom in (1, 2, 7, 300):
        assert np.allclose(student_above(x, freedom), stats.t.sf(x, freedom), rtol=1e-12)


def test_binomial():
    for n in (0, 1, 5, 40):
        for k in range(n + 1):
            assert binomial_cdf(k, n, 0.5) == pytest.approx(stats.binom.cdf(k, n, 0.5), rel=1e-10)
