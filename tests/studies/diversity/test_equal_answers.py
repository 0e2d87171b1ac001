"""Equal answers have no distance: their vectors' rounding once gave an interval of width zero."""

from __future__ import annotations

import numpy as np

from veneer.statistics import intervals
from veneer.studies.diversity.text_measures import cosine_matrix, mean_distance


def test_equal_vectors_have_distance_zero_and_an_interval_with_a_width():
    rng = np.random.default_rng(0)
    rows = [np.repeat(rng.normal(size=(1, 384)).astype(np.float32), 5, axis=0) for _ in range(50)]
    rows = [r / np.linalg.norm(r, axis=1, keepdims=True) for r in rows]
    found = [mean_distance(cosine_matrix(r)) for r in rows]
    assert found == [0.0] * 50
    e = intervals.mean(np.array(found, float))
    assert e.low == 0 and e.high > 0.01
