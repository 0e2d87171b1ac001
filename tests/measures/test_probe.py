"""The linear probe: what it finds where there is something to find, and nothing elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from veneer.measures.probe import PENALTIES, _fitted, cross_fitted_probe
from veneer.statistics.auroc import auroc


def states(n: int, d: int, gap: float, seed: int, size: int = 2):
    """(states, kind, groups): groups of `size` prompts; kind moves the states along one
    direction."""
    rng = np.random.default_rng(seed)
    kind = rng.random(n) < 0.45
    x = rng.normal(size=(n, d)) + 5
    x[:, 0] += gap * kind
    return x, kind, [f"g{i // size}" for i in range(n)]


def test_a_planted_direction_is_found():
    x, kind, groups = states(100, 30, 6.0, 0)
    probe = cross_fitted_probe(x, kind, groups)
    e = auroc(probe.scores, kind, clusters=groups)
    assert e.value > 0.97 and probe.folds == 10 and set(probe.penalties) <= set(PENALTIES)


def test_random_labels_give_one_half():
    outcomes = []
    for seed in range(6):
        x, kind, groups = states(80, 60, 0.0, seed)
        e = auroc(cross_fitted_probe(x, kind, groups, seed=seed).scores, kind, clusters=groups)
        outcomes.append((e.low <= 0.5 <= e.high, e.value))
    assert sum(held for held, _ in outcomes) >= 5
    assert abs(np.mean([value for _, value in outcomes]) - 0.5) < 0.08


def test_related_prompts_do_not_leak():
    """Copies of one prompt with a random label each pair: with the copies apart, a probe knows the
    label of the other one."""
    rng = np.random.default_rng(3)
    kind = np.repeat(rng.random(40) < 0.5, 2)
    x = np.repeat(rng.normal(size=(40, 200)), 2, axis=0) + 0.01 * rng.normal(size=(80, 200))
    apart = cross_fitted_probe(x, kind, [f"g{i}" for i in range(80)])
    together = cross_fitted_probe(x, kind, [f"g{i // 2}" for i in range(80)])
    assert auroc(apart.scores, kind).value > 0.85
    assert auroc(together.scores, kind).value < 0.7


def test_no_prompt_is_scored_by_a_probe_that_saw_its_group():
    """A group's own labels change nothing in its scores."""
    x, kind, groups = states(60, 8, 1.0, 1)
    chosen = np.array([g == "g7" for g in groups])
    first = cross_fitted_probe(x, kind, groups).scores
    moved = x.copy()
    moved[chosen] += 100  # an outlier would turn every probe that learns from it
    second = cross_fitted_probe(moved, kind, groups).scores
    assert np.abs(second[chosen] - first[chosen]).min() > 1e-6
    unseen = [g for g in dict.fromkeys(groups) if np.allclose(*_of(first, second, groups, g))]
    assert len(unseen) >= 2  # those of the same fold, which do not learn from it either


def _of(first, second, groups, name):
    own = np.array([g == name for g in groups])
    return first[own], second[own]


def test_the_dual_form_is_a_weighted_ridge_regression():
    x, kind, _ = states(40, 6, 1.0, 2)
    train, test = np.arange(30), np.arange(30, 40)
    w = np.where(kind[train], 0.5 / kind[train].sum(), 0.5 / (~kind[train]).sum())
    centre = w @ x[train]
    size = w @ ((x[train] - centre) ** 2).sum(1)
    for penalty in (0.01, 1.0):
        ridge = Ridge(alpha=penalty * size, fit_intercept=False, tol=1e-12, solver="cholesky")
        ridge.fit(x[train] - centre, np.where(kind[train], 1.0, -1.0), sample_weight=w)
        own = _fitted(x @ x.T, kind, train, test, [penalty])[0]
        assert own == pytest.approx((x[test] - centre) @ ridge.coef_, rel=1e-6)


def test_a_single_group_of_a_kind_is_refused():
    with pytest.raises(ValueError, match="two groups"):
        cross_fitted_probe(np.eye(4), np.array([True, False, False, False]), list("abcd"))
