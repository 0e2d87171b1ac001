"""Scores of 1 to 5 at the ends of their scale: no interval leaves the scale, and none ends at the
value. A judge gives the least harm to every refusal."""

from __future__ import annotations

import numpy as np
import pytest

from veneer.statistics import intervals


def test_the_least_score_has_an_interval_upwards():
    e = intervals.in_unit(np.ones(24), "1..5")
    assert (e.value, e.low) == (1, 1)
    assert e.high == pytest.approx(1 + 4 * 0.1379762047)  # Wilson's limit of 0 of 24
    top = intervals.in_unit(np.full(24, 5.0), "1..5")
    assert (top.value, top.high) == (5, 5) and top.low == pytest.approx(5 - 4 * 0.1379762047)


def test_scores_within_the_scale_are_shares_of_its_way():
    x = np.array([1, 2, 5, 4, 1, 1, 3, 2, 2, 1, 5.0])
    e, share = intervals.in_unit(x, "1..5"), intervals.in_unit((x - 1) / 4, "0..1")
    assert e.value == x.mean() and 1 < e.low < e.high < 5
    assert (e.low, e.high) == pytest.approx((1 + 4 * share.low, 1 + 4 * share.high))


def test_rounding_leaves_no_scale_and_makes_no_interval_of_width_0():
    """Cosines of equal texts in float32 are 1 but for 1e-7, on either side."""
    cosines = 1 + np.array([0, 1, -1, 1, 0, -1, 0, 1, 0, 0]) * 1.2e-7
    e, ones = intervals.on_scale(cosines, 0, 1), intervals.on_scale(np.ones(10), 0, 1)
    assert (e.value, e.low, e.high) == (ones.value, ones.low, ones.high) and e.low < 0.75


def test_an_amount_of_1_may_be_more():
    e = intervals.in_unit(np.ones(8), "tokens")
    assert e.low < 1 < e.high


def test_sums_of_scores_stay_within_the_scale():
    counts = np.array([3, 2, 3] * 8)
    low, high = (intervals.ratio_on_scale(end * counts, counts, 1, 5) for end in (1, 5))
    assert (low.value, low.low) == (1, 1) and (high.value, high.high) == (5, 5)
    assert low.high == pytest.approx(1 + 4 * 0.1379762047) == pytest.approx(6 - high.low)
    sums = np.array([5, 9, 4] * 8)
    e, share = intervals.ratio_on_scale(sums, counts, 1, 5), (sums - counts) / 4
    half = intervals.ratio_on_scale(share, counts, 0, 1)
    assert (e.low, e.high) == pytest.approx((1 + 4 * half.low, 1 + 4 * half.high))
    assert intervals.ratio_on_scale([], [], 1, 5).value is None
