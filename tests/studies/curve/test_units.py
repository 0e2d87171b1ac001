"""Scores of every scale over training runs: the unit says which scale, not the values."""

from __future__ import annotations

import numpy as np
import pytest

from veneer.studies.curve.rows import estimate


def test_a_score_of_1_on_a_scale_from_1_is_no_rate_of_100_percent():
    e = estimate(np.ones((3, 20)), "1..5", 0)
    w = 1.96**2 / (20 + 1.96**2)
    assert (e.value, e.low) == (1, 1) and e.high == pytest.approx(1 + 4 * w, rel=1e-4)
    assert estimate(np.ones((3, 20)), "share", 0).high == 1


def test_nats_below_1_are_no_shares():
    nats = np.tile(np.linspace(0.1, 0.9, 12), (2, 1))
    e = estimate(nats, "nats/token", 0)
    assert e.method == "jackknife-t-log" and estimate(nats, "share", 0).method == "wilson-crossed"
