"""Kappa against scikit-learn, its interval against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veneer.statistics.agreement import agreement, kappa

PAIRS = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=2, max_size=60)


@given(PAIRS)
@settings(max_examples=60, deadline=None)
def test_kappa_is_scikit_learns(pairs):
    metrics = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    result = agreement(a, b)
    if len({*a, *b}) < 2:
        assert result.kappa.value is None and "same value" in result.kappa.note
        return
    assert result.kappa.value == pytest.approx(metrics.cohen_kappa_score(a, b), abs=1e-9)
    assert -1 <= result.kappa.low <= result.kappa.value <= result.kappa.high <= 1
    assert result.kappa.high > result.kappa.low, "no interval has width zero"
    if len(result.categories) > 2:
        # scikit-learn weighs by rank among the labels given
        labels = range(min(*a, *b), max(*a, *b) + 1)
        expected = metrics.cohen_kappa_score(a, b, labels=list(labels), weights="quadratic")
        assert result.weighted.value == pytest.approx(expected, abs=1e-9)
    assert result.table.sum() == len(a) and np.trace(result.table) / len(a) == pytest.approx(
        result.raw.value
    )
    assert (result.table == metrics.confusion_matrix(a, b, labels=sorted({*a, *b}))).all()


def test_variance_is_that_of_the_literature():
    """Without the prior and for independent answers: Fleiss, Cohen & Everitt 1969, equation
    13, written out."""
    import veneer.statistics.agreement as module

    rng = np.random.default_rng(3)
    i = rng.integers(0, 3, 400)
    j = np.where(rng.random(400) < 0.6, i, rng.integers(0, 3, 400))
    p = np.zeros((3, 3))
    np.add.at(p, (i, j), 1 / 400)
    value, influence = module._kappa(p, np.eye(3))
    pe = float(p.sum(1) @ p.sum(0))
    rows, columns = p.sum(1), p.sum(0)
    # mean weights of a row and of a column, for the identity
    w_bar = columns[:, None] + rows[None, :]
    fce = (np.sum(p * (np.eye(3) - w_bar * (1 - value)) ** 2) - (value - pe * (1 - value)) ** 2) / (
        400 * (1 - pe) ** 2
    )
    assert np.sum(p * influence**2) / 400 == pytest.approx(fce, rel=1e-12)
    assert np.sum(p * influence) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("share", "true", "n"), [(0.5, 0.4, 100), (0.2, 0.8, 100), (0.2, 0.4, 30), (0.05, 0.4, 300)]
)
def test_the_interval_covers(share, true, n):
    """Tables of a known kappa: at least 90 % of 300 intervals hold it (95 % less three standard
    errors of a simulation is 91 %)."""
    rng = np.random.default_rng(0)
    margin = np.array([1 - share, share])
    table = (true * np.diag(margin) + (1 - true) * np.outer(margin, margin)).ravel()
    hits = total = 0
    for _ in range(300):
        cells = rng.choice(4, size=n, p=table)
        e = agreement(cells // 2, cells % 2).kappa
        if e.value is not None:
            total += 1
            hits += e.low <= true <= e.high
    assert hits / total >= 0.9


def test_answers_to_one_prompt_are_one_cluster():
    """Ten copies of each answer are no more information than one."""
    rng = np.random.default_rng(1)
    a = rng.integers(0, 2, 60)
    b = np.where(rng.random(60) < 0.8, a, 1 - a)
    alone = agreement(a, b).kappa
    copies = agreement(np.repeat(a, 10), np.repeat(b, 10), np.repeat(np.arange(60), 10)).kappa
    assert copies.n == 60 and copies.value == pytest.approx(alone.value)
    assert 0.8 < (copies.high - copies.low) / (alone.high - alone.low) < 1.1


def test_complete_agreement_is_not_certainty():
    few, many = agreement([0, 1] * 5, [0, 1] * 5).kappa, agreement([0, 1] * 100, [0, 1] * 100).kappa
    assert few.value == many.value == 1.0 and few.high == many.high == 1.0
    assert few.low < many.low < 1.0
    assert agreement([0, 1] * 5, [1, 0] * 5).kappa.value == -1.0


def test_nothing_to_compare():
    e = kappa(np.array([], int), np.array([], int), np.array([], int), np.array([]), "none")
    assert e.value is None and e.n == 0
    for bad in ([0.0, math.nan], [0.0]):
        with pytest.raises(ValueError):
            agreement([0.0, 1.0], bad)
