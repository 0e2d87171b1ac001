"""Planted truths of the curves: a power law, a curve that saturates, learners by heart, a learner
of style alone; and the published table."""

from __future__ import annotations

import numpy as np
import pytest

from veneer.foundation.results import Results
from veneer.statistics.crossed import Crossed, crossed_rate
from veneer.studies.curve.families import (
    POWER,
    SATURATING,
    beta_binomial,
    examples_to,
    families,
    fit,
    held_out,
    remaining,
    seed_correlation,
    told_apart,
)
from veneer.studies.curve.fits import Fitted, Measured, beyond_style, curve_rows
from veneer.studies.curve.published import TABLE_7
from veneer.studies.curve.words import finding

SIZES = (16, 64, 256, 1024, 4096)
SEEDS, N = 3, 300


def power(sizes):
    return 0.1947 * np.asarray(sizes, float) ** (1 / 7.66)


def spread(p, rng, spread=0.1):
    """(seeds, m) scores of runs that differ."""
    logit = np.log(p / (1 - p)) + rng.normal(0, spread, (SEEDS, len(p)))
    return 1 / (1 + np.exp(-logit))


def outcomes(p, rng, n=N):
    """(seeds, m, n) answers."""
    return (rng.random((*p.shape, n)) < p[..., None]).astype(float)


def test_the_published_convention():
    math = TABLE_7[0]
    assert math.at(1000) == pytest.approx(48.0, abs=0.05)
    assert math.at(7500) == pytest.approx(62.4, abs=0.05)


def test_a_power_law_is_recovered_without_bias_and_within_its_interval():
    rng = np.random.default_rng(0)
    counts = rng.binomial(SEEDS * N, power(SIZES), size=(300, len(SIZES)))
    many = fit(families(SIZES)[POWER], SIZES, counts, SEEDS * N)
    assert abs(many.shapes[:, 0].mean() - 1 / 7.66) < 0.005
    assert abs(many.weights[:, 0].mean() - 0.1947) < 0.005
    held = 0
    for i in range(24):
        y = outcomes(spread(power(SIZES), rng), rng)
        crossed = Crossed.of(y, seed=i)
        one = fit(families(SIZES)[POWER], SIZES, crossed.rows, crossed.trials)
        low, high = crossed.limits(one.shapes[:, 0])
        held += low <= 1 / 7.66 <= high
    assert held >= 20  # of 24; 95 % give 20 or more in 99.4 % of cases


def test_a_curve_that_saturates_is_no_power_law():
    rng = np.random.default_rng(1)
    p = 0.8 * (1 - (1 + np.array(SIZES) / 100) ** -2.0)
    named = [told_apart(held_out(SIZES, rng.binomial(N, p, (SEEDS, len(p))), N)) for _ in range(10)]
    assert POWER not in named and named.count(SATURATING) >= 5


def test_a_power_law_is_far_from_a_constant_and_near_a_logarithm():
    """With 1/b = 0.13 a straight line in log D fits almost as well, so that no name is sure."""
    rng = np.random.default_rng(2)
    scores = held_out(SIZES, rng.binomial(N, power(SIZES), (SEEDS, len(SIZES))), N)
    assert scores["constant"] < scores[POWER] - 50
    assert abs(scores["logarithm"] - scores[POWER]) < 10
    assert held_out(SIZES[:3], np.zeros((SEEDS, 3)), N) == {} and told_apart({}) is None


def test_a_learner_by_heart_of_equal_sums():
    """Right iff the sum is among the D examples: 1 - (1 - 1/M)^D, so 95 % at 3 M."""
    rng, sums, sizes = np.random.default_rng(3), 100, (0, 16, 64, 256, 1024, 4096)
    questions = rng.integers(sums, size=N)
    y = np.zeros((SEEDS, len(sizes), N))
    for s in range(SEEDS):
        drawn = rng.integers(sums, size=max(sizes))
        for j, size in enumerate(sizes):
            y[s, j] = np.isin(questions, drawn[:size])
    scores = held_out(sizes, y.sum(2), N)
    assert max(scores, key=lambda name: scores[name]) == SATURATING
    rows = {r.metric: r for r in curve_rows("heart", "accuracy", Fitted(Measured(sizes, y)))}
    truth = np.log(0.05) / np.log(1 - 1 / sums)
    one = rows["examples_to_95"]
    assert one.value == pytest.approx(truth, rel=0.1) and one.low <= truth <= one.high
    assert rows["curve_ceiling"].value == pytest.approx(1.0, abs=0.01)
    assert rows["curve_ceiling"].low < rows["curve_ceiling"].high


def test_a_learner_by_heart_of_rare_sums():
    """Sums as frequent as 1 / rank^2: what is missing falls as D^-(1/2) (Karlin 1967)."""
    rng, sizes = np.random.default_rng(4), (0, 16, 64, 256, 1024, 4096)
    share = 1 / np.arange(1, 100_001.0) ** 2
    share /= share.sum()
    p = np.array([(share * (1 - (1 - share) ** d)).sum() for d in sizes])
    crossed = Crossed.of(outcomes(np.tile(p, (SEEDS, 1)), rng), seed=0)
    one = fit(families(sizes)[SATURATING], sizes, crossed.rows, crossed.trials)
    low, high = np.exp(crossed.limits(one.shapes[:, 1]))
    assert low <= 0.5 <= high
    assert remaining(np.array([0.0]), one.shapes[:1])[0, 0] == 1.0


def test_a_learner_of_style_alone():
    """Style from the first example on, skill never."""
    rng, sizes = np.random.default_rng(5), (0, 16, 64, 256, 1024)
    y = np.ones((SEEDS, len(sizes), 60))
    y[:, 0] = 0
    style = Fitted(Measured(sizes, y))
    rows = {r.metric: r for r in curve_rows("t", "style_rate", style)}
    assert rows["examples_to_95"].value <= min(s for s in sizes if s)
    assert rows["examples_to_95"].fact("at_most") is True
    # no interval of width zero: none, with the reason
    assert rows["curve_exponent"].low is None and rows["curve_exponent"].note
    assert rows["curve_ceiling"].low < rows["curve_ceiling"].value == 1
    never = Fitted(Measured(sizes, (rng.random(y.shape) < 0.1).astype(float)))
    skill = {r.metric: r for r in curve_rows("t", "accuracy", never)}
    assert skill["examples_to_95"].value is None
    assert skill["examples_to_95"].fact("reason") == "no_gain"
    assert beyond_style("t", "accuracy", never, style, None).value is None


def test_style_before_skill_is_seen():
    rng, sizes = np.random.default_rng(6), (0, 16, 64, 256, 1024)
    size = np.array(sizes, float)
    style, skill = (
        Fitted(Measured(sizes, outcomes(np.tile(1 - np.exp(-size / d), (SEEDS, 1)), rng)))
        for d in (5, 100)
    )
    row = beyond_style("t", "accuracy", skill, style, None)
    assert row.low > 0 and row.low <= 3 * 95 <= row.high


def test_beta_binomial_sums_to_one_and_holds_the_spread():
    counts = np.arange(41)
    for correlation in (0.0, 0.02, 0.3):
        p = np.exp(beta_binomial(counts, 40, 0.3, correlation))
        assert p.sum() == pytest.approx(1)
        assert (p * counts).sum() == pytest.approx(12)
        variance = (p * counts**2).sum() - 144
        assert variance == pytest.approx(40 * 0.21 * (1 + 39 * correlation), rel=1e-6)
    rng = np.random.default_rng(7)
    p = rng.beta(6, 14, (200, 4))  # correlation 1 / 21
    assert seed_correlation(rng.binomial(50, p), 50) == pytest.approx(1 / 21, rel=0.2)
    assert seed_correlation(rng.binomial(50, p)[:1], 50) == 0


def test_rates_over_runs_hold_the_truth():
    rng, held = np.random.default_rng(8), 0
    for _ in range(120):
        p = np.clip(rng.normal(0.4, 0.08, (SEEDS, 1)), 0.01, 0.99)
        e = crossed_rate(outcomes(p, rng, 100)[:, 0])
        held += e.low <= 0.4 <= e.high
    assert held >= 106  # of 120
    assert crossed_rate(np.ones((3, 40))).low < 1
    one = crossed_rate(np.array([[1.0, 0, 0, 1]]))
    assert one.value == 0.5 and one.n == 4 and one.low < 0.5 < one.high


def test_examples_to_a_share_of_the_gain():
    one = fit(families((1, 8, 64))[SATURATING], (1, 8, 64), np.array([[5.0, 30, 90]]), 100)
    at = examples_to(one, 0.5)
    assert remaining(at, one.shapes)[0, 0] == pytest.approx(0.5)


def test_few_prompts_that_agree_show_no_gain():
    """0 of 2, then 2 of 2: every resample agrees, but the paired difference holds 0."""
    y = np.zeros((2, 3, 2))
    y[:, -1] = 1
    few = Fitted(Measured((0, 4, 8), y))
    assert few.gain()[1] < 0 < few.gain()[0] == 1
    rows = {r.metric: r for r in curve_rows("t", "accuracy", few)}
    assert rows["examples_to_95"].fact("reason") == "no_gain"
    assert rows["examples_to_95"].value is rows["examples_to_95"].low is None


def test_resamples_that_agree_give_no_interval_of_the_examples():
    """0 of 20 at 4 examples and 20 of 20 at 8: there is a gain, and no spread to take limits
    from."""
    y = np.zeros((2, 3, 20))
    y[:, -1] = 1
    rows = {r.metric: r for r in curve_rows("t", "accuracy", Fitted(Measured((0, 4, 8), y)))}
    one = rows["examples_to_95"]
    assert one.fact("reason") == "all_equal" and one.low is one.high is None
    assert "is not determined" in finding(Results(rows.values()))[0]
