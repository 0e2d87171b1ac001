"""What an alternative adds to a reference, and whether it is useful: pairwise scores, and topics weighted by helpfulness."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from veneer.diversity.verdicts import Topic

SIDES = ("A", "both", "B")


def score_shares(scores: Sequence[Sequence[float]]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Metric -> (sums, counts) a prompt: `novelty` (mean score, 1..5) and `novelty_1` .. `novelty_5` (share of the answers, by the score
    rounded down)."""
    count = np.array([len(s) for s in scores], float)
    found = {"novelty": (np.array([sum(s) for s in scores], float), count)}
    for value in range(1, 6):
        found[f"novelty_{value}"] = (np.array([sum(int(x) == value for x in s) for s in scores], float), count)
    return found


def topic_shares(topics: Sequence[Sequence[Sequence[Topic]]], weighted: bool) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Metric -> (sums, counts) a prompt, of prompts x answers x topics: the share of topics only in A, in both, only in B; `weighted`
    by the topic's helpfulness, topics without one left out."""
    weight = {side: np.zeros(len(topics)) for side in SIDES}
    for p, answers in enumerate(topics):
        for topic in (t for answer in answers for t in answer):
            if not weighted or topic.helpfulness is not None:
                weight[topic.where][p] += (topic.helpfulness or 0.0) if weighted else 1.0
    total = sum(weight.values(), np.zeros(len(topics)))
    suffix = "_by_helpfulness" if weighted else ""
    return {f"topics_{side}{suffix}": (weight[side], total) for side in SIDES}


def mean_helpfulness(topics: Sequence[Sequence[Sequence[Topic]]]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Metric -> (sums, counts) a prompt: the mean helpfulness of topics only in A, in both, only in B."""
    found = {}
    for side in SIDES:
        known = [
            [t.helpfulness for a in answers for t in a if t.where == side and t.helpfulness is not None] for answers in topics
        ]
        found[f"topic_helpfulness_{side}"] = (np.array([sum(k) for k in known], float), np.array([len(k) for k in known], float))
    return found
