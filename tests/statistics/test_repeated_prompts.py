"""Twenty lines of ten texts tell no more than the ten texts: no interval may be narrower."""

import numpy as np
import pytest

from veneer.statistics import intervals
from veneer.statistics.crossed import Crossed, crossed_rate

TEXTS, TWICE = np.arange(10), np.tile(np.arange(10), 2)
RNG = np.random.default_rng(5)
RATES = [(RNG.random(10) < p).astype(float) for p in (0.3, 0.6, 0.9)]
AMOUNTS = [RNG.gamma(2, 1, 10) for _ in range(3)]


def twice(values):
    return np.concatenate([values, values], axis=-1)


def width(e):
    return e.high - e.low


@pytest.mark.parametrize("x", [*RATES, np.zeros(10), np.ones(10), *AMOUNTS])
def test_means(x):
    share = bool(np.all(x <= 1))
    once = intervals.mean(x, share=share)
    e = intervals.mean(twice(x), share=share, clusters=TWICE)
    assert e.value == pytest.approx(once.value) and e.n == 20
    assert width(e) >= width(once) - 1e-9
    assert width(intervals.mean(twice(x), share=share)) < width(e), "as if they were independent"


def test_ratios_are_those_of_the_texts():
    for name in ("ratio_of_sums", "recovered"):
        f = getattr(intervals, name)
        once = f(AMOUNTS[0], AMOUNTS[1], seed=3)
        e = f(twice(AMOUNTS[0]), twice(AMOUNTS[1]), seed=3, clusters=TWICE)
        assert (e.value, e.low, e.high) == pytest.approx((once.value, once.low, once.high))
        assert (once.n, e.n) == (10, 20)


@pytest.mark.parametrize(
    "system, base, aligned",
    [
        (np.ones(10), np.zeros(10), np.ones(10)),
        (np.repeat([1.0, 0], 5), np.zeros(10), np.ones(10)),
        (AMOUNTS[0], AMOUNTS[0] + AMOUNTS[1], AMOUNTS[0] + AMOUNTS[1] + AMOUNTS[2] + 5),
    ],
)
def test_portions(system, base, aligned):
    once = intervals.portion(system, base, aligned)
    e = intervals.portion(twice(system), twice(base), twice(aligned), clusters=TWICE)
    assert e.value == pytest.approx(once.value) and (once.n, e.n) == (10, 20)
    assert width(e) >= width(once) - 1e-9


def test_a_difference_of_rates_keeps_to_its_scale():
    e = intervals.difference(np.zeros(20), np.ones(20), clusters=TWICE)
    assert e.value == -1 and e.low == -1 and e.high > -1


def test_rates_over_training_runs():
    runs = np.stack(RATES)
    for y in (runs, runs[:1], np.ones((3, 10)), np.zeros((2, 10))):
        once, e = crossed_rate(y), crossed_rate(twice(y), TWICE)
        assert e.value == pytest.approx(once.value) and (once.n, e.n) == (10, 20)
        assert width(e) >= width(once) - 1e-9
    own = crossed_rate(runs, TEXTS)
    assert width(own) > width(crossed_rate(runs)), "few clusters: Student's t"


def test_resamples_over_training_runs_are_those_of_the_texts():
    y = np.stack([np.stack(RATES), np.stack(RATES[::-1])])
    once, e = Crossed.of(y, 3), Crossed.of(twice(y), 3, TWICE)
    assert e.rows == pytest.approx(2 * once.rows) and e.trials == 2 * once.trials


def test_clusters_of_unequal_size_count_by_their_prompts():
    """By hand: two texts, of which the first stands on three of four lines."""
    y = np.array([[[1.0, 1, 1, 0]]])
    drawn = Crossed.of(y, 0, np.array([0, 0, 0, 1])).rows[1:, 0]
    assert set(drawn.round(9)) == {0.0, 3.0, 4.0}
