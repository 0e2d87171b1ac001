"""Stances of a prompt's answers: entropy, disagreement, and which of base's stances one aligned
answer covers (arXiv 2406.17692)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from veneer.studies.diversity.judgements import Topic

SAYS: dict[str, frozenset[str]] = {
    "yes": frozenset({"yes"}),
    "no": frozenset({"no"}),
    "both": frozenset({"yes", "no"}),
    "other": frozenset(),
}


def entropy(labels: Sequence[str]) -> float | None:
    """Bits of the labels' distribution; None for no label."""
    n = len(labels)
    return -sum(c / n * math.log2(c / n) for c in Counter(labels).values()) + 0.0 if n else None


def disagreement(labels: Sequence[str]) -> float | None:
    """Share of pairs with different labels; None for fewer than two."""
    n = len(labels)
    return 1 - sum(c * (c - 1) for c in Counter(labels).values()) / (n * (n - 1)) if n > 1 else None


def both_sides(labels: Sequence[str]) -> float | None:
    """1 where some label is yes and some is no."""
    return float("yes" in labels and "no" in labels) if labels else None


def coverage(base: Sequence[str], aligned: str) -> float | None:
    """|U and E(aligned)| / |U|, U the union of what base's labels say; None where they say
    neither yes nor no."""
    said = frozenset[str]().union(*(SAYS[label] for label in base))
    return len(said & SAYS[aligned]) / len(said) if said else None


def stance_measures(labels: Sequence[str]) -> dict[str, float | None]:
    return {
        "stance_entropy": entropy(labels),
        "stance_disagreement": disagreement(labels),
        "stance_both_sides": both_sides(labels),
    }


STANCE_UNITS = {
    "stance_entropy": "bits",
    "stance_disagreement": "share of pairs",
    "stance_both_sides": "share",
    "stance_coverage": "share",
}


# What an alternative adds to a reference, and whether it is useful: pairwise scores, and topics
# weighted by helpfulness.

SIDES = ("A", "both", "B")


def score_shares(scores: Sequence[Sequence[float]]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Metric -> (sums, counts) a prompt: `novelty` (mean score, 1..5) and `novelty_1` ..
    `novelty_5` (share of the answers, by the score rounded down)."""
    count = np.array([len(s) for s in scores], float)
    found = {"novelty": (np.array([sum(s) for s in scores], float), count)}
    for value in range(1, 6):
        found[f"novelty_{value}"] = (
            np.array([sum(int(x) == value for x in s) for s in scores], float),
            count,
        )
    return found


def topic_shares(
    topics: Sequence[Sequence[Sequence[Topic]]], weighted: bool
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Metric -> (sums, counts) a prompt, of prompts x answers x topics: the share of topics only in
    A, in both, only in B; `weighted` by the topic's helpfulness, topics without one left out."""
    weight = {side: np.zeros(len(topics)) for side in SIDES}
    for p, answers in enumerate(topics):
        for topic in (t for answer in answers for t in answer):
            if not weighted or topic.helpfulness is not None:
                weight[topic.where][p] += (topic.helpfulness or 0.0) if weighted else 1.0
    total = sum(weight.values(), np.zeros(len(topics)))
    suffix = "_by_helpfulness" if weighted else ""
    return {f"topics_{side}{suffix}": (weight[side], total) for side in SIDES}


def mean_helpfulness(
    topics: Sequence[Sequence[Sequence[Topic]]],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Metric -> (sums, counts) a prompt: the mean helpfulness of topics only in A, in
    both, only in B."""
    found = {}
    for side in SIDES:
        known = [
            [
                t.helpfulness
                for a in answers
                for t in a
                if t.where == side and t.helpfulness is not None
            ]
            for answers in topics
        ]
        found[f"topic_helpfulness_{side}"] = (
            np.array([sum(k) for k in known], float),
            np.array([len(k) for k in known], float),
        )
    return found


# The quality filter: diversity of the answers that a judge finds good enough, beside the same
# prompts unfiltered (arXiv 2406.17692).

LEAST = 2  # answers that a prompt must keep: diversity is of pairs


@dataclass(frozen=True)
class Filtered:
    """threshold: of helpfulness. samples: answers kept in all. prompts: which keep two or more
    (indices). kept, unfiltered: (prompts,) diversity of the kept answers and of all judged answers
    to the same prompts."""

    threshold: float
    samples: int
    prompts: np.ndarray
    kept: np.ndarray
    unfiltered: np.ndarray


def keep(scores: Sequence[float | None], threshold: float) -> list[int]:
    """Which answers reach the threshold; one without a verdict does not."""
    return [i for i, s in enumerate(scores) if s is not None and s >= threshold]


def filtered(
    distances: Sequence[np.ndarray], scores: Sequence[Sequence[float | None]], threshold: float
) -> Filtered:
    """distances: for each prompt the (n, n) distances of its answers. scores: for each
    prompt the n scores."""
    samples, found = 0, []
    for p, (d, s) in enumerate(zip(distances, scores, strict=True)):
        good = keep(s, threshold)
        samples += len(good)
        if len(good) >= LEAST:
            found.append((p, pair_mean(d[np.ix_(good, good)]), pair_mean(d)))
    rows = np.array(found, float).reshape(-1, 3)
    return Filtered(threshold, samples, rows[:, 0].astype(int), rows[:, 1], rows[:, 2])


def thresholds(scores: Sequence[Sequence[float | None]]) -> list[float]:
    """Every threshold that keeps something and drops something: the scores that
    occur, but the lowest."""
    return sorted({s for row in scores for s in row if s is not None})[1:]


def pair_mean(distances: np.ndarray) -> float:
    """Mean over pairs i < j."""
    n = len(distances)
    return float((distances.sum() - np.trace(distances)) / (n * (n - 1)))
