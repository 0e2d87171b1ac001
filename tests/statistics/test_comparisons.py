"""p values and Holm's adjustment against closed forms, and the family's error by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from veneer.statistics import intervals
from veneer.statistics.comparisons import compare, holm, p_value


def test_mcnemar_is_the_exact_sign_test_of_discordant_prompts():
    a, b = np.array([1] * 30 + [0] * 10), np.array([1] * 21 + [0] * 9 + [1] * 2 + [0] * 8)
    assert p_value(a, b) == pytest.approx(binomtest(2, 11).pvalue)
    assert p_value(a, a) == 1.0


def test_sign_flips_agree_with_all_flips_counted():
    d = np.array([0.5, -0.1, 0.4, 0.3, 0.9, -0.2])
    flips = np.array(np.meshgrid(*[[-1, 1]] * 6)).reshape(6, -1).T
    exact = float(np.mean(np.abs(flips @ d) >= abs(d.sum()) - 1e-12))
    assert p_value(d, np.zeros(6)) == pytest.approx(exact, abs=0.01)


def test_clusters_count_once():
    """Forty prompts that are one prompt copied say no more than one."""
    a, b = np.repeat([1.0, 1.0, 1.0], 40), np.zeros(120)
    clusters = np.repeat([0, 1, 2], 40)
    assert p_value(a, b) < 1e-6 and p_value(a, b, clusters=clusters) == pytest.approx(
        0.25, abs=0.02
    )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_a_p_value_keeps_the_order_and_lies_below_bonferroni(p):
    adjusted = holm(p)
    assert all(x <= q <= 1 for x, q in zip(p, adjusted, strict=True))
    assert all(
        q <= min(1, len(p) * x) + 1e-12 or q == max(adjusted[j] for j in range(len(p)) if p[j] <= x)
        for x, q in zip(p, adjusted, strict=True)
    )
    by_p = sorted(range(len(p)), key=lambda i: p[i])
    assert [adjusted[i] for i in by_p] == sorted(adjusted)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_a_family_of_equal_systems_is_wrong_at_most_one_time_in_twenty():
    rng, wrong, runs = np.random.default_rng(1), 0, 400
    for _ in range(runs):
        pairs = [(rng.random(60) < 0.4, rng.random(60) < 0.4) for _ in range(5)]
        wrong += (
            min(c.adjusted for c in compare([(a.astype(float), b.astype(float)) for a, b in pairs]))
            < 0.05
        )
    assert wrong / runs <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / runs)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 40), st.integers(0, 1000))
def test_order_of_prompts_does_not_matter(n, seed):
    rng = np.random.default_rng(seed)
    a, b, shuffle = rng.random(n), rng.random(n), rng.permutation(n)
    assert p_value(a, b, seed=3) == p_value(a[shuffle], b[shuffle], seed=3)
    assert 0 < p_value(a, b) <= 1


def test_portions_in_clusters_hold_the_truth():
    """31 groups of prompts whose chance is the group's own: as ToxiGen's."""
    rng, held, known = np.random.default_rng(2), 0, 0
    for _ in range(300):
        tilt = rng.normal(0, 0.12, 31)
        chance = [np.clip(c + np.repeat(tilt, 20), 0, 1) for c in (0.7, 0.4, 0.2)]
        base, veneer, aligned = ((rng.random(620) < c).astype(float) for c in chance)
        e = intervals.portion(veneer, base, aligned, clusters=np.repeat(np.arange(31), 20))
        if e.low is not None and e.high is not None:
            known += 1
            held += e.low <= 0.6 <= e.high
    assert known > 290 and held / known >= 0.92


def test_all_equal_differences_in_clusters_have_a_width():
    e = intervals.difference([1.0] * 20, [0.0] * 20, clusters=[0, 1] * 10)
    assert e.low is not None and e.low < 1 and e.n == 20
