"""Fronts against brute force, and the coverage of the interval of a complexity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from veneer.statistics.intervals import rate
from veneer.studies.complexity.front import LeastBits, Point, dominated, least_bits


def point(bits, score, low=None, high=None):
    low, high = score if low is None else low, score if high is None else high
    return Point(bits, score, low, high)


def test_the_front_is_that_of_brute_force():
    draw = np.random.default_rng(0)
    for _ in range(200):
        points = [point(int(b), float(s)) for b, s in draw.integers(0, 6, (8, 2))]
        brute = [
            any(
                q.bits <= p.bits and q.score >= p.score and (q.bits, q.score) != (p.bits, p.score)
                for q in points
            )
            for p in points
        ]
        assert dominated(points) == brute


def test_least_bits_by_hand():
    programs = [[point(8, 0.2, 0.0, 0.6)], [point(16, 0.7, 0.4, 0.8)], [point(32, 0.9, 0.8, 1.0)]]
    assert least_bits(programs, [0.5]) == LeastBits(16, 8, 32)
    assert least_bits(programs, [0.9]) == LeastBits(32, 32, None)
    assert least_bits(programs[:1], [0.9]) == LeastBits(None, None, None)
    both = [[point(8, 0.9), point(8, 0.1)], [point(16, 0.9), point(16, 0.9)]]
    assert least_bits(both, [0.5, 0.5]) == LeastBits(16, 16, 16)


@pytest.mark.parametrize("n", [40, 200])
def test_the_interval_covers_the_true_step(n):
    """Two programs a hair below the level and the true step a hair above it: 93 to 97 % of
    simulated fronts. Each interval decides alone, so more programs just below would cover less."""
    draw = np.random.default_rng(n)
    truth = [0.499, 0.499, 0.501, 0.98]
    covered, trials = 0, 2000
    for _ in range(trials):
        points = []
        for i, p in enumerate(truth):
            e = rate(int(draw.binomial(n, p)), n)
            points.append([Point(8 << i, e.value, e.low, e.high)])
        least = least_bits(points, [0.5])
        low, high = least.low or np.inf, least.high or np.inf
        covered += low <= 32 <= high
    assert 0.93 <= covered / trials <= 0.97


def test_a_score_without_an_interval_bounds_nothing():
    """KL of one held-out prompt: a program may reach the score, and none is known to."""
    from veneer.foundation.results import Measurement
    from veneer.studies.complexity.programs import Program
    from veneer.studies.complexity.rows import complexity_rows

    def row(system, value, low=None, high=None):
        measurement = Measurement(
            "complexity", "joint", "kl_recovered", system, value, 1, low, high
        )
        return replace(measurement, split="report")

    programs = [Program("head", f"r{n}", "head", "x", 0, "", {}) for n in (1, 2)]
    names = [p.name for p in programs]
    bits = {"base": 0, names[0]: 800, names[1]: 1600}
    measured = [row("base", 0.0, 0.0, 0.0), row(names[0], 0.3), row(names[1], 0.7)]
    (every, _) = complexity_rows(programs, bits, measured, [], [0.5])
    assert (every.value, every.low, every.high) == (1600, 800, None)
    measured[2] = row(names[1], 0.7, 0.6, 0.8)
    (every, _) = complexity_rows(programs, bits, measured, [], [0.5])
    assert (every.value, every.low, every.high) == (1600, 800, 1600)
