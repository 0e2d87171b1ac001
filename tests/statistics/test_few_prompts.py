"""Differences and portions of fewer than ten prompts or groups."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import few_coverage as simulate
from veneer.statistics.intervals import (
    difference,
    in_unit,
    mean,
    portion,
    ratio_of_rates,
    ratio_of_sums,
    ratio_on_scale,
)


@pytest.mark.parametrize("n", [2, 3, 5, 7])
def test_differences_of_one_sign_have_the_interval_of_student(n):
    """A difference may be negative where none of these is: the interval is that of the t test, and
    not that of a logarithm, which never holds 0."""
    rng = np.random.default_rng(n)
    a = rng.normal(size=n)
    b = a - rng.uniform(0.1, 0.9, n)
    for x, y in ((a, b), (b, a)):
        e, limits = difference(x, y), stats.ttest_1samp(x - y, 0).confidence_interval()
        assert (e.low, e.high) == pytest.approx((limits.low, limits.high))


@pytest.mark.parametrize("groups", [None, 3, 4])
def test_systems_that_do_not_differ_hold_0_in_their_interval(groups):
    """95 % of 400 runs, less three standard errors; before, 85 % (3 prompts), 81 % (3 groups)."""
    rng, runs = np.random.default_rng(0), 400
    ids = None if groups is None else np.repeat(np.arange(groups), 8)
    held = 0
    for _ in range(runs):
        x, y = rng.normal(size=(2, 3)) if ids is None else rng.integers(0, 2, (2, len(ids)))
        e = difference(x, y, clusters=ids)
        held += e.low <= 0 <= e.high
    assert held / runs > 0.917


def test_groups_with_the_same_sum_may_differ_by_a_prompt():
    """Each of three groups has one prompt of eight that differs: no more is known of the next."""
    x, y = np.tile([1.0, *[0.0] * 7], 3), np.zeros(24)
    e = difference(x, y, clusters=np.repeat(np.arange(3), 8))
    assert e.value == 1 / 8 and e.low < 0 < e.high


def test_a_portion_without_bounds_says_so():
    """The systems differ, so that the sentence cannot be that they do not."""
    e = portion([5.0] * 3, [1.0] * 3, [9.0] * 3)
    assert e.value is None and e.reason is not None and e.reason.code == "unbounded"
    assert e.note == (
        "the portion has no bounds: aligned minus base is 8, 95 % interval 3.51 to 12.5, too "
        "uncertain to divide by"
    )
    assert portion([0.5, 0.4], [0.1, 0.2], [0.9, 0.8]).reason.code == "no_difference"


@pytest.mark.parametrize(
    ("values", "unit", "limits"),
    [
        ([0.3, 0.9], "0..1", (0.0, 1.0)),  # without its scale, up to 645
        ([4.0, 5.0, 5.0], "1..5", (3.2324, 5.0)),
        ([0.5, 0.0, 0.5, 1.0], "share", (0.0629, 0.9371)),
        ([0.7, 0.8, 0.95, 0.99], "share", (0.4805, 0.9761)),
    ],
)
def test_a_score_has_no_limit_beyond_its_scale(values, unit, limits):
    e = in_unit(values, unit)
    assert (e.low, e.high) == pytest.approx(limits, rel=0.001, abs=1e-4)


@pytest.mark.parametrize("values", [[1.2, 1.5, 4.0], [1.0, 1.0, 2.0, 5.0], [4.5, 4.9, 4.7, 4.8]])
def test_a_score_that_runs_the_other_way_has_the_mirrored_interval(values):
    """What is missed and what is hit are one figure: 1 - share."""
    e, other = in_unit(values, "1..5"), in_unit([6 - v for v in values], "1..5")
    assert (other.low, other.high) == pytest.approx((6 - e.high, 6 - e.low))


@pytest.mark.parametrize(("a", "b"), [(1.8, 0.2), (18, 2), (0.2, 1.8)])
def test_few_shares_near_an_end_are_covered(a, b):
    """From the logarithm, 0.76, 0.91 and 0.92 of 500."""
    rng, runs, n = np.random.default_rng(5), 500, 5
    drawn = (in_unit(rng.beta(a, b, n), "0..1") for _ in range(runs))
    assert sum(e.low <= a / (a + b) <= e.high for e in drawn) / runs > 0.89


def test_few_differences_do_not_exclude_0_by_their_sign_alone():
    """Three prompts that all rise, as one in four does without any rise."""
    rise, tokens = [0.1, 5.0, 3.0], [10.0, 10.0, 10.0]
    e = ratio_of_sums(rise, tokens, signed=True)
    assert e.low < 0 < e.value and ratio_of_sums(rise, tokens).low > 0


def test_a_ratio_counts_only_the_prompts_that_have_a_denominator():
    """One sample of 500 that both ways find: the ratio is 1, and nothing bounds it."""
    one = np.eye(1, 500)[0]
    e = ratio_of_sums(one, one)
    assert (e.value, e.low, e.high, e.n) == (1, None, None, 500)
    ten = (np.arange(500) < 10).astype(float)
    w = 1.96**2 / (10 + 1.96**2)
    e = ratio_of_sums(ten, ten)
    assert (e.low, e.high) == pytest.approx((1 - w, 1 + w), rel=1e-4), "a ratio may exceed 1"


def test_a_score_of_1_throughout_may_be_higher_and_not_lower():
    """1 of 5 is the lowest score and no rate of 100 %: of n answers a share up to w may have 5."""
    n = 100
    w = 1.96**2 / (n + 1.96**2)
    e = in_unit([1.0] * n, "1..5")
    assert (e.value, e.low, e.high) == pytest.approx((1, 1, 1 + 4 * w), rel=1e-4)
    assert in_unit([5.0] * n, "1..5").low == pytest.approx(5 - 4 * w, rel=1e-4)
    assert in_unit([1.0] * n, "share") == mean([1.0] * n), "a rate"


def test_a_ratio_of_scores_keeps_to_the_scale():
    """Several answers per prompt: a stance that 2 of 6 have, and quality of 1 or 3 throughout."""
    e = ratio_on_scale([1, 0, 1], [2, 2, 2], 0, 1)
    assert e.high < 1 and ratio_of_sums([1, 0, 1], [2, 2, 2]).high > 2
    e = ratio_on_scale([2, 3, 2], [2, 3, 2], 1, 5)
    assert e.value == e.low == 1 and 3 < e.high < 5
    e = ratio_on_scale([6, 9, 6], [2, 3, 2], 1, 5)
    assert e.value == 3 and (e.low, e.high) == (1, 5)


def test_a_score_on_another_scale_keeps_its_limits():
    """A scorer of one's own may give any number under the unit share."""
    assert in_unit([30.0, 90.0], "share") == mean([30.0, 90.0])


@pytest.mark.parametrize(
    ("name", "n", "least"),
    [
        ("difference, exponential", 8, 0.91),  # Student's t: 0.88
        ("KL of a set", 20, 0.90),  # BCa: 0.89
        ("score of 1 to 5", 12, 0.93),
        ("balanced accuracy 0.9", 8, 0.92),  # square and add of Wilson's limits: 0.87
        ("AUROC 0.5", 3, 1.0),  # z in place of t: 0.64
        ("AUROC 0.5", 5, 1.0),
    ],
)
def test_the_interval_covers(name, n, least):
    """95 % less three standard errors of 500 runs is 92 %; the values in the remarks were found
    with the method before."""
    (figure,) = (f for f in FIGURES if f.name == name)
    assert figure.coverage(n, 500) >= least


FIGURES = simulate.figures()


def test_the_bootstrap_t_is_that_of_its_definition():
    """Against one loop over resamples, each with its own ratio and standard error."""
    rng = np.random.default_rng(4)
    y = rng.integers(1, 30, 12).astype(float)
    x = y * rng.exponential(size=12) - 3.0

    def ratio_and_error(i):
        ratio = x[i].sum() / y[i].sum()
        return ratio, np.sqrt(np.sum((x[i] - ratio * y[i]) ** 2)) / y[i].sum()

    value, error = ratio_and_error(np.arange(12))
    drawn = [ratio_and_error(rng.integers(12, size=12)) for _ in range(20_000)]
    low, high = np.quantile([(v - value) / e for v, e in drawn], (0.025, 0.975))
    e = ratio_of_sums(x, y, signed=True)
    assert e.method == "bootstrap-t" and e.value == pytest.approx(value)
    assert (e.low, e.high) == pytest.approx((value - high * error, value - low * error), rel=0.06)


def test_a_bootstrap_t_without_bounds_gives_way():
    """Nine of ten values are 0, so every third resample has no spread of its own."""
    e = difference([1.5, *[0.0] * 9], np.zeros(10))
    assert e.method == "bca" and -1.5 < e.low <= 0.15 < e.high < 1.5
    nearly = 0.1 + 1e-3 * np.random.default_rng(0).normal(size=19)
    e = mean([5.0, *nearly], share=False)
    assert e.method == "bca" and 0 <= e.low < e.value < e.high < 5, "unbounded, up to 400"


@pytest.mark.parametrize(
    "values", [[0.004, 0.4], [0.2, 0.9], [1e-4, 2e-4, 3.0]], ids=["two", "alike", "three"]
)
def test_few_amounts_have_no_upper_bound_of_1e9(values):
    """Two KL in nats, or three, one of which is many times another."""
    e = ratio_of_sums(values, np.ones(len(values)))
    assert 0 <= e.low < e.value == pytest.approx(np.mean(values))
    assert e.high == pytest.approx(100 * e.value)
    assert e.note.startswith(f"{len(values)} prompts or groups that differ so much leave no upper")
    assert e.note.endswith("the upper limit is 100 times the value")
    e = ratio_of_sums(values, np.ones(len(values)), signed=True)
    assert e.low < 0 < e.high < 20, "a difference has limits on both sides"


def test_a_ratio_of_rates_is_that_of_bonett_and_price():
    """5 of 500 texts against 25 that hold the 5: Wilson's limits of 25 and of 5 among the 25."""
    a, b = (np.arange(500) < k for k in (25, 5))
    e = ratio_of_rates(a.astype(float), b.astype(float))
    z = (
        1.959964
        * np.sqrt(22 / (26 * 6))
        / (np.sqrt((1 - 26 / 27) / 26) + np.sqrt((1 - 6 / 27) / 6))
    )
    low = 25 / (25 + z * z)
    least = (5 + z * z / 2 - z * np.sqrt(5 * 0.8 + z * z / 4)) / (25 + z * z)
    most = (5 + z * z / 2 + z * np.sqrt(5 * 0.8 + z * z / 4)) / (25 + z * z)
    assert e.value == 5 and (e.low, e.high) == pytest.approx((low / most, 1 / least), rel=1e-5)
    assert ratio_of_rates(a, np.zeros(500)).reason.code == "denominators_are_0"


def test_ratios_of_rates_cover():
    """The bootstrap-t of sums holds the truth in 90 % here."""
    rng, held = np.random.default_rng(1), []
    for _ in range(500):
        a = rng.random(500) < 0.05
        e = ratio_of_rates(a, a & (rng.random(500) < 0.2))
        if e.low is not None:
            held.append(e.low <= 5 <= e.high)
    assert np.mean(held) > 0.92
