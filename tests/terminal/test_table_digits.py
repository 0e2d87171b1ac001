"""How many digits a column on stdout has."""

from __future__ import annotations

import pytest

from veneer.foundation.results import Measurement
from veneer.terminal.tables import digits


def row(low: float, high: float) -> Measurement:
    return Measurement("recovery", "t", "embedding_similarity", "s", low, 6, low, high)


@pytest.mark.parametrize(
    ("ends", "places"),
    [
        ([(0.1, 0.4)], 2),
        ([(0.1, 0.4), (0.100, 0.104)], 4),
        ([(0.04, 0.16), (0.9999999, 1.0)], 2),  # the ceiling: a cosine of 1, but for rounding
        ([(1.0, 1.0)], 2),
    ],
)
def test_the_narrowest_interval_decides_and_rounding_is_none(ends, places):
    assert digits([row(*pair) for pair in ends]) == places
