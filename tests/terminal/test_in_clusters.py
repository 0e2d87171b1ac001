"""Tables on stdout name the clusters that an interval rests on, where they are fewer than n."""

import numpy as np

from veneer.foundation.results import Measurement
from veneer.statistics import intervals
from veneer.terminal.tables import in_clusters


def row(values, clusters=None):
    e = intervals.mean(values, clusters=clusters, share=False)
    return Measurement.estimated(e, "s", "t", "m", "base")


def test_clusters_are_counted_where_they_are_fewer_than_the_prompts():
    rng = np.random.default_rng(0)
    values = rng.normal(size=12)
    assert in_clusters([row(values), None]) == ""
    assert in_clusters([row(values, np.arange(12))]) == "", "each prompt is a cluster"
    assert in_clusters([row(values, np.arange(12) % 4), None]) == " in 4 clusters"
    assert in_clusters([row(values, np.zeros(12))]) == " in 1 cluster"
    assert in_clusters([row(np.ones(12), np.arange(12) % 3)]) == " in 3 clusters"
    assert in_clusters([row(np.ones(12))]) == "", "all values are equal, and no cluster is"
    two = [row(values, np.arange(12) % 4), row(values[:6], np.arange(6) % 2)]
    assert in_clusters(two) == " in 2 to 4 clusters"
