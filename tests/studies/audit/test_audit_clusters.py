"""An audit of prompts that are not independent: intervals and p values of whole clusters, and no
cluster on both sides of a held-out part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t

from veneer.foundation.results import Results
from veneer.judges.refusal.rates import RefusalRates
from veneer.measures.clusters import kept, prompt_clusters
from veneer.prompts.prompt import Prompt
from veneer.studies.audit.answers import Answers, answer_rows
from veneer.studies.audit.distance import distance_rows
from veneer.studies.audit.names import AUDITED, REFERENCE
from veneer.studies.audit.prompts import prompt_sets
from veneer.studies.audit.restorable import folds_of
from veneer.systems.responses import Response

GROUPS, SIZE = 6, 8
N = GROUPS * SIZE
IDS = np.array([f"g{i // SIZE}" for i in range(N)])
ROLES = ["harmful"] * N


def answers(system: str, refused: np.ndarray) -> Answers:
    responses = [
        Response(f"p{i}", 0, system, "harmful", "No.", (1, 2), "stop", 0) for i in range(N)
    ]
    return Answers(system, responses, refused, np.zeros(N), ["No."] * N)


def test_rates_and_differences_are_those_of_whole_groups():
    """The groups agree within, so that 48 prompts are 6: the rate's Wilson limits are those of an
    effective sample of 6 groups with Student's t, and p is not that of 24 prompts that differ."""
    refused = np.repeat([1.0, 1.0, 1.0, 0.0, 0.0, 0.0], SIZE)
    every = [answers(REFERENCE, refused), answers(AUDITED, np.zeros(N))]
    alone, grouped = (
        Results(answer_rows(every, ROLES, RefusalRates(), opening=4, clusters=ids))
        for ids in (None, IDS)
    )
    (one,) = grouped.where(metric="refusal_rate", system=REFERENCE)
    # Korn & Graubard 1998: variance of the mean of 6 equal groups, against that of 48 prompts
    effect = (6 / 5 * 6 * (SIZE * 0.5) ** 2 / N**2) / (0.25 / N)
    size = N / effect * (1.959964 / t.ppf(0.975, 5)) ** 2
    half = 1.959964 * np.sqrt(0.25 / size + 1.959964**2 / (4 * size**2)) / (1 + 3.841459 / size)
    assert one.n == N and (one.low, one.high) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-5)
    pair = [
        r.where(metric="difference_from_reference", system=AUDITED)[0] for r in (alone, grouped)
    ]
    assert pair[0].fact("p") == pytest.approx(2.0**-23)
    assert pair[1].fact("p") == pytest.approx(0.25, abs=0.02)  # 3 groups differ: 2 of 8 patterns
    assert pair[1].high - pair[1].low > 2 * (pair[0].high - pair[0].low) and pair[1].high > 0


def test_distances_are_those_of_whole_groups():
    rng = np.random.default_rng(0)
    kl = np.repeat(rng.gamma(1.0, 1.0, GROUPS), SIZE)
    distances = {
        "prompt": np.repeat(np.arange(N), 3),
        "position": np.tile([1, 2, 3], N),
        **{c: np.repeat(kl, 3) for c in ("kl", "only_head", "only_layers")},
        "agree": np.ones(3 * N),
    }
    alone, grouped = (
        Results(distance_rows(distances, ROLES, REFERENCE, clusters=ids)) for ids in (None, IDS)
    )
    key = {"task": "all", "metric": "kl", "system": AUDITED, "position": None}
    (one,), (other,) = alone.where(**key), grouped.where(**key)
    assert one.value == pytest.approx(kl.mean()) and other.value == one.value and other.n == N
    # 6 equal groups: the spread of log leave-one-group-out means, with Student's t
    means = kl.reshape(GROUPS, SIZE)[:, 0]
    left = np.log((means.sum() - means) / 5)
    q = t.ppf(0.975, 5) * np.sqrt(5 / 6) * np.sqrt(((left - left.mean()) ** 2).sum())
    assert (other.low, other.high) == pytest.approx((kl.mean() * np.exp(-q), kl.mean() * np.exp(q)))
    assert other.high - other.low > 1.5 * (one.high - one.low)
    assert all(
        r.fact("estimate")["groups"] == GROUPS for r in grouped.where(metric="kl", system=AUDITED)
    )


def test_a_held_out_part_holds_whole_clusters():
    parts = folds_of(ROLES, 3, 0, IDS.tolist())
    assert sorted(n for p in parts for n in p) == list(range(N))
    where = [{IDS[n] for n in part} for part in parts]
    assert all(not a & b for i, a in enumerate(where) for b in where[i + 1 :])
    assert [len(g) for g in where] == [2, 2, 2]
    assert folds_of(ROLES, 5, 0, ["one"] * N) == [], "one cluster cannot be held out from itself"


def test_clusters_of_prompts():
    one, two, three = (Prompt.from_text(i, i, task="t") for i in "abc")
    assert prompt_clusters([one, two, three]) is None and kept(None, np.array([0])) is None
    one, three = (replace(p, cluster="x") for p in (one, three))
    ids = prompt_clusters([one, two, three])
    assert ids.tolist() == [0, 1, 0] and kept(ids, np.array([1, 2])).tolist() == [1, 0]
    again = replace(two, id="d", messages=({"role": "user", "content": " B. "},))
    assert prompt_clusters([one, two, three, again]).tolist() == [0, 1, 0, 1], "one text"
    assert prompt_clusters([one, replace(three, task="u")]) is None, "a name is one of its task"


def test_the_sets_keep_the_tasks_clusters(data):
    sets = prompt_sets({"harmful": ("toxigen",), "harmless": ("svamp",)}, data=data, limit=62)
    assert len({p.cluster for p in sets["harmful"]}) > 20
    assert all(p.cluster.startswith("toxigen/") for p in sets["harmful"])
    assert {p.cluster for p in sets["harmless"]} == {None}
