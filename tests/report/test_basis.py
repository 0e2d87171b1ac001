"""Tables name the judges, and the clusters behind an interval where they are fewer than n."""

import dataclasses

import numpy as np

from veneer.foundation.results import Measurement
from veneer.report.basis import counted, in_clusters, judged_by
from veneer.statistics import intervals


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


def test_a_range_of_n_and_the_judges_are_named():
    two = [row(np.arange(12.0)), None, row(np.arange(6.0))]
    assert counted(two) == "6 to 12" and counted(two[:1], "prompts") == "12 prompts"
    assert counted([row(np.arange(12.0), np.arange(12) % 4)]) == "12 in 4 clusters"
    assert counted([]) == "" and judged_by(two) == ""
    judged = [dataclasses.replace(two[0], judge=judge) for judge in ("b", "a", "b")]
    assert judged_by(judged[:1]) == "judge b" and judged_by(judged) == "judges a, b"
