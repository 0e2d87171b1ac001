"""The equivalence test: its level at the margin's edge, its power, and its verdicts; the best
of m candidates."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from veneer.studies.recovery.equivalence import (
    FEW_PROMPTS,
    NO_DISTANCE,
    equivalence,
    one_sided_tests,
)
from veneer.studies.recovery.similarity import bests, common_count, expected_best, means
from veneer.studies.recovery.words import verdict_reason, verdict_sentence

RUNS = 2000
N = 50
BASE, CEILING = 0.6, 0.9
EDGE = 0.1 * (CEILING - BASE)


def trial(rng, shift: float, skewed: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """system, base, ceiling of N prompts; prompts differ in difficulty, which the three share."""
    noise = (
        (lambda s: s * (rng.exponential(1, N) - 1)) if skewed else (lambda s: rng.normal(0, s, N))
    )
    prompt = rng.normal(0, 0.05, N)
    return (
        CEILING + shift + prompt + noise(0.03),
        BASE + prompt + noise(0.1),
        CEILING + prompt + noise(0.03),
    )


def rejected(shift: float, *, skewed: bool = False, **how) -> float:
    """How often two one-sided tests call the system equivalent."""
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(RUNS):
        width, low, high = one_sided_tests(*trial(rng, shift, skewed), **how)
        hits += width > 0 and max(low, high) <= 0.05
    return hits / RUNS


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("how", [{"fraction": 0.1}, {"margin": EDGE}], ids=["share", "absolute"])
def test_level_at_the_edge_of_the_margin(side, how):
    """A system exactly a margin away is called equivalent in at most 5 % of studies (2000 of them:
    up to 6 % is chance)."""
    assert rejected(side * EDGE, **how) <= 0.06


def test_level_with_skewed_similarities():
    """Two one-sided t tests are exact for normal differences; with exponential noise
    they stay below 6 %."""
    assert max(rejected(side * EDGE, skewed=True, fraction=0.1) for side in (-1, 1)) <= 0.06


def test_power_where_systems_are_equal():
    assert rejected(0.0, fraction=0.1) >= 0.9


def test_a_fixed_share_is_the_contrast_and_an_absolute_margin_the_textbook_test():
    s, b, c = trial(np.random.default_rng(0), -0.01)
    width, low, high = one_sided_tests(s, b, c, fraction=0.2)
    assert width == pytest.approx(0.2 * (c - b).mean())
    assert low == pytest.approx(ttest_1samp(s - c + 0.2 * (c - b), 0, alternative="greater").pvalue)
    assert high == pytest.approx(ttest_1samp(s - c - 0.2 * (c - b), 0, alternative="less").pvalue)
    width, low, high = one_sided_tests(s, b, c, margin=0.02)
    assert (width, low) == (
        0.02,
        pytest.approx(ttest_1samp(s - c, -0.02, alternative="greater").pvalue),
    )
    assert high == pytest.approx(ttest_1samp(s - c, 0.02, alternative="less").pvalue)


def test_verdicts_on_planted_systems():
    rng = np.random.default_rng(3)
    same, base, ceiling = trial(rng, 0.0)
    equivalent = equivalence(
        {"same": same, "far": base + 0.1, "above": ceiling + 0.2, "base": base}, base, ceiling
    )
    assert {k: v.word for k, v in equivalent.items()} == {
        "same": "equivalent",
        "far": "different",
        "above": "different",
        "base": "different",
    }
    assert (
        "below the ceiling" in verdict_sentence(equivalent["far"].facts)
        and "above the ceiling" in verdict_sentence(equivalent["above"].facts)
        and (equivalent["far"].side, equivalent["above"].side, equivalent["same"].side)
        == ("below", "above", None)
    )
    assert all(v.family == 4 and v.n == N for v in equivalent.values())
    one = equivalent["same"]
    assert (
        one.low < one.difference < one.high and max(abs(one.low), abs(one.high)) < one.margin * 1.1
    )
    few = equivalence({"same": same[:4]}, base[:4], ceiling[:4])["same"]
    assert few.word == "undecided" and few.p is not None


def test_overlapping_intervals_are_no_equivalence():
    """Wide intervals overlap, and the test says that it cannot tell."""
    rng = np.random.default_rng(1)
    ceiling, base = rng.normal(0.9, 0.2, 12), rng.normal(0.6, 0.2, 12)
    assert equivalence({"s": rng.normal(0.85, 0.2, 12)}, base, ceiling)["s"].word == "undecided"


def test_holm_over_systems_makes_it_harder():
    s, b, c = trial(np.random.default_rng(5), -0.02)
    alone = equivalence({"s": s}, b, c)["s"]
    among = equivalence({"s": s} | {f"s{i}": s - 0.005 for i in range(9)}, b, c)["s"]
    assert among.p > alone.p and among.p_low == alone.p_low and among.family == 10


@pytest.mark.parametrize(
    ("base", "ceiling", "reason", "note"),
    [
        ([0.5] * 6, [0.5, 0.6, 0.4, 0.5, 0.55, 0.45], NO_DISTANCE, "not above base beyond chance"),
        ([0.9] * 6, [0.5, 0.6, 0.4, 0.5, 0.55, 0.45], NO_DISTANCE, "not above base beyond chance"),
        ([0.1, 0.2] + [np.nan] * 4, [0.9] * 6, FEW_PROMPTS, "2 prompts have all of"),
    ],
)
def test_where_there_is_no_scale_there_is_verdict_reason(base, ceiling, reason, note):
    equivalent = equivalence({"s": [0.5] * 6}, base, ceiling)["s"]
    assert (
        equivalent.word == "undecided"
        and equivalent.p is None
        and equivalent.reason == equivalent.facts["verdict_reason"] == reason
        and note in (verdict_reason(equivalent.facts) or "")
        and note in verdict_sentence(equivalent.facts)
    )


def test_prompts_without_an_answer_are_left_out_of_that_system_alone():
    s, b, c = trial(np.random.default_rng(2), 0.0)
    holes = s.copy()
    holes[:10] = np.nan
    equivalent = equivalence({"whole": s, "holes": holes}, b, c)
    assert (equivalent["whole"].n, equivalent["holes"].n) == (N, N - 10)
    assert equivalent["holes"].p_low == pytest.approx(
        equivalence({"x": s[10:]}, b[10:], c[10:])["x"].p_low
    )


@pytest.mark.parametrize("how", [{"fraction": 0}, {"fraction": -0.1}, {"margin": 0.0}])
def test_a_margin_is_above_zero(how):
    with pytest.raises(ValueError, match="a margin above 0"):
        equivalence({"s": [0.1] * 5}, [0.0] * 5, [1.0] * 5, **how)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=7), st.integers(1, 7))
def test_expected_best_is_the_mean_over_all_subsets(values, m):
    if m > len(values):
        with pytest.raises(ValueError, match="best of"):
            expected_best(values, m)
        return
    subsets = [max(some) for some in combinations(values, m)]
    assert expected_best(values, m) == pytest.approx(sum(subsets) / len(subsets), abs=1e-12)


def test_best_of_all_is_the_maximum_and_of_one_the_mean():
    x = [0.2, 0.9, 0.4]
    assert expected_best(x, 3) == 0.9 and expected_best(x, 1) == pytest.approx(0.5)
    assert expected_best(np.linspace(0, 1, 400), 200) < 1  # binomials far beyond a double


def test_prompts_with_too_few_candidates_have_no_best():
    some = [np.array([0.1, 0.3]), np.array([0.5]), np.array([])]
    assert np.isnan(bests(some, 2)[1:]).all() and bests(some, 2)[0] == 0.3
    assert means(some)[:2].tolist() == [0.2, 0.5] and np.isnan(means(some)[2])


def test_the_best_is_compared_at_what_every_system_usually_has():
    assert common_count([[5, 5, 5, 0], [4, 4, 4, 4], [5, 5, 1, 5]]) == 4
    assert common_count([[0, 0], [5, 5]]) == 0 and common_count([]) == 0


@pytest.mark.parametrize(("n", "word"), [(3, "undecided"), (5, "equivalent")])
def test_equal_values_on_few_prompts_are_not_certain(n, word):
    """Three greedy answers that are the ceiling's: as three coins on one side, p is 1/8."""
    same = np.full(n, 0.9)
    one = equivalence({"same": same}, np.full(n, 0.5), same, margin=0.05)["same"]
    assert (one.word, one.p) == (word, 0.5**n)
