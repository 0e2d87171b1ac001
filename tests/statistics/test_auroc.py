"""AUROC, its interval and its ROC curve against independent computations."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from veneer.statistics import intervals
from veneer.statistics.auroc import auroc, contributions, roc_curve


def drawn(m: int, k: int, gap: float, seed: int, ties: bool = False):
    """(scores, kind) of m positive and k negative prompts in a random order."""
    rng = np.random.default_rng(seed)
    kind = rng.permutation(np.arange(m + k) < m)
    scores = rng.normal(size=m + k) + gap * kind
    return (np.round(scores) if ties else scores), kind


def by_pairs(scores, kind) -> float:
    """The share of pairs in the right order, counted one by one."""
    pairs = list(product(scores[kind], scores[~kind]))
    return sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs)


@pytest.mark.parametrize("ties", [False, True])
def test_the_value_is_the_share_of_pairs_in_the_right_order(ties):
    for seed in range(5):
        scores, kind = drawn(23, 31, 0.8, seed, ties)
        e = auroc(scores, kind)
        assert e.value == pytest.approx(by_pairs(scores, kind), abs=1e-12)
        assert e.value == pytest.approx(roc_auc_score(kind, scores), abs=1e-12)
        assert auroc(-scores, kind).value == pytest.approx(1 - e.value, abs=1e-12)
        assert auroc(np.exp(scores), kind) == e  # only the order matters


def test_the_area_below_the_curve_is_the_value():
    for seed, ties in product(range(3), (False, True)):
        scores, kind = drawn(20, 30, 0.5, seed, ties)
        x, y = np.array(roc_curve(scores, kind)).T
        assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
        assert np.all(np.diff(x) >= 0) and np.all(np.diff(y) >= 0)
        assert np.trapezoid(y, x) == pytest.approx(auroc(scores, kind).value, abs=1e-12)


def test_the_interval_is_near_that_of_a_bootstrap():
    scores, kind = drawn(120, 150, 0.9, 3)
    e, rng = auroc(scores, kind), np.random.default_rng(0)
    values = []
    for _ in range(2000):
        a, b = rng.choice(scores[kind], 120), rng.choice(scores[~kind], 150)
        values.append(roc_auc_score(np.repeat([True, False], (120, 150)), np.r_[a, b]))
    low, high = np.quantile(values, (0.025, 0.975))
    assert e.low == pytest.approx(low, abs=0.015) and e.high == pytest.approx(high, abs=0.015)


def test_the_interval_covers_by_simulation():
    for m, k, area in ((50, 50, 0.5), (50, 50, 0.9), (30, 60, 0.97)):
        gap = float(norm.ppf(area)) * 2**0.5
        runs = [auroc(*drawn(m, k, gap, seed)) for seed in range(300)]
        assert np.mean([e.low <= area <= e.high for e in runs]) >= 0.92


def test_clusters_that_repeat_a_prompt_count_once():
    scores, kind = drawn(40, 40, 0.7, 1)
    one = auroc(scores, kind)
    four = auroc(np.repeat(scores, 4), np.repeat(kind, 4), clusters=np.repeat(np.arange(80), 4))
    assert four.value == pytest.approx(one.value) and four.n == 320
    assert four.high - four.low == pytest.approx(one.high - one.low, rel=0.05)
    blind = auroc(np.repeat(scores, 4), np.repeat(kind, 4))
    assert blind.high - blind.low < 0.6 * (one.high - one.low)
    named = auroc(scores, kind, clusters=[f"c{i}" for i in range(80)])
    assert named.high - named.low == pytest.approx(one.high - one.low, rel=0.05)


def test_a_score_that_never_changes_tells_nothing_and_one_without_error_has_a_width():
    kind = np.arange(60) < 25
    same, perfect = auroc(np.zeros(60), kind), auroc(kind.astype(float), kind)
    assert same.value == 0.5 and same.low < 0.45 and same.high > 0.55
    assert (perfect.value, perfect.high) == (1.0, 1.0) and 0.9 < perfect.low < 1


def test_where_there_is_nothing_to_tell_apart():
    empty = auroc([1.0, 2.0], [True, True])
    assert empty.value is None and empty.reason.code == "one_set_is_empty"
    one = auroc([1.0, 2.0, 3.0], [True, False, False])
    assert one.value == 0 and one.low is None and one.reason.code == "one_group"
    with pytest.raises(ValueError, match="NaN"):
        contributions([1.0, float("nan")], [True, False])


def test_contributions_give_values_differences_and_portions_of_aurocs():
    rng = np.random.default_rng(7)
    kind = np.arange(200) < 90
    shared = rng.normal(size=200)
    base, veneer, aligned = (shared + rng.normal(size=200) + gap * kind for gap in (0.1, 0.9, 1.6))
    areas = [roc_auc_score(kind, s) for s in (veneer, base, aligned)]
    own = [contributions(s, kind) for s in (veneer, base, aligned)]
    assert [c.mean() for c in own] == pytest.approx(areas)
    portion = intervals.portion(*own)
    assert portion.value == pytest.approx((areas[0] - areas[1]) / (areas[2] - areas[1]))
    values = []
    for _ in range(500):
        i = np.r_[rng.choice(np.flatnonzero(kind), 90), rng.choice(np.flatnonzero(~kind), 110)]
        v, b, a = (roc_auc_score(kind[i], s[i]) for s in (veneer, base, aligned))
        values.append((v - b) / (a - b))
    low, high = np.quantile(values, (0.025, 0.975))
    assert portion.low == pytest.approx(low, abs=0.08) and portion.high == pytest.approx(
        high, abs=0.08
    )
