"""Judgements of answers: the judge's text read without trust, and what is measured from it
(arXiv 2406.17692).

The text may be JSON that is cut, with numbers that are texts, "N/A", or 'A: 5, B: 3'. None is no
verdict; it is counted and never a score. A cut JSON is not mended: what is missing might have
changed the rest.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from veneer.judges.rubrics.reading import Unreadable, parse_object

STANCES = ("yes", "no", "both", "other")
SCORE = re.compile(r"\s*([1-5](?:\.\d+)?)\s*(?:/\s*5)?\s*")
OF_EACH = re.compile(r"\b(A|B)\s*[:=]\s*([1-5](?:\.\d+)?)(?!\d)", re.IGNORECASE)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Topic:
    """where: "A", "B" or "both". helpfulness: 1..5, None where the judge gave none."""

    where: str
    helpfulness: float | None


@dataclass
class Read(Generic[T]):
    """One value a judge output, None where it gave none, and why."""

    values: list[T | None] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def parsed(self) -> int:
        return sum(v is not None for v in self.values)


def read_all(contents: Iterable[str | None], parse: Callable[[str], T | None]) -> Read[T]:
    """Parse every judge output; count those without a verdict by reason."""
    result: Read[T] = Read()
    for content in contents:
        value = None if content is None else parse(content)
        result.values.append(value)
        if content is None:
            result.failed["the judgement failed"] += 1
        elif value is None:
            result.failed[
                "no JSON object: cut, or something else"
                if as_object(content) is None
                else "no such score"
            ] += 1
    return result


def as_object(content: str) -> dict[str, Any] | None:
    """The JSON object that the whole judge output is, perhaps in a code fence; None
    for anything else."""
    try:
        return parse_object(content)
    except Unreadable:
        return None


def score(value: Any) -> float | None:
    """A score from 1 to 5: a number, or a text that is one ("4", "4/5"); nothing else ("N/A", 'A:
    5, B: 3', true)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    match = SCORE.fullmatch(value) if isinstance(value, str) else None
    number = float(match[1]) if match else float(value) if isinstance(value, int | float) else 0.0
    return number if 1 <= number <= 5 else None


def aspect(name: str) -> Callable[[str], float | None]:
    """A parser of one aspect of a quality judgement: {"helpfulness": {"score": "4", "reason": ...},
    ...} or {"helpfulness": 4}."""

    def parse(content: str) -> float | None:
        value = (as_object(content) or {}).get(name)
        return score(value.get("score") if isinstance(value, dict) else value)

    return parse


def novelty(content: str) -> float | None:
    """{"score": "2", "reason": ...}: what an alternative adds to a reference, 1 nothing
    .. 5 entirely new."""
    return score((as_object(content) or {}).get("score"))


def stance(content: str) -> str | None:
    """{"stance": "yes", ...}: yes, no, both or other."""
    value = (as_object(content) or {}).get("stance")
    label = value.strip().lower().rstrip(".") if isinstance(value, str) else None
    return label if label in STANCES else None


def topics(content: str) -> list[Topic] | None:
    """{"topics": [{"name", "response": A, B or both, "helpfulness"}]}. A helpfulness of each
    ('A: 5, B: 3') is the side's own, and of a topic in both their mean. Topics that name no
    side are left out."""
    listed = (as_object(content) or {}).get("topics")
    if not isinstance(listed, list):
        return None
    kept = []
    for row in listed:
        side = row.get("response") if isinstance(row, dict) else None
        place = (
            {"a": "A", "b": "B", "both": "both"}.get(side.strip().lower())
            if isinstance(side, str)
            else None
        )
        if place is not None:
            kept.append(Topic(place, _of_sides(row.get("helpfulness"), place)))
    return kept


def _of_sides(value: Any, place: str) -> float | None:
    plain = score(value)
    if plain is not None or not isinstance(value, str):
        return plain
    each = {side.upper(): float(number) for side, number in OF_EACH.findall(value)}
    wanted = [each[s] for s in ("A", "B") if s in each and place in (s, "both")]
    return sum(wanted) / len(wanted) if wanted else None


# Stances of a prompt's answers: entropy, disagreement, and which of base's stances one aligned
# answer covers

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
    union = frozenset[str]().union(*(SAYS[label] for label in base))
    return len(union & SAYS[aligned]) / len(union) if union else None


def stance_measures(labels: Sequence[str]) -> dict[str, float | None]:
    return {
        "stance_entropy": entropy(labels),
        "stance_disagreement": disagreement(labels),
        "stance_both_sides": both_sides(labels),
    }


STANCE_SPREAD = {"stance_entropy": entropy, "stance_disagreement": disagreement}
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
    """Metric -> (sums, counts) per prompt: `novelty` (mean score, 1..5) and `novelty_1` ..
    `novelty_5` (share of the answers, by the score rounded down)."""
    count = np.array([len(s) for s in scores], float)
    metrics = {"novelty": (np.array([sum(s) for s in scores], float), count)}
    for value in range(1, 6):
        metrics[f"novelty_{value}"] = (
            np.array([sum(int(x) == value for x in s) for s in scores], float),
            count,
        )
    return metrics


def topic_shares(
    topics: Sequence[Sequence[Sequence[Topic]]], weighted: bool
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Metric -> (sums, counts) per prompt, of prompts x answers x topics: the share of topics only
    in A, in both, only in B; `weighted` by the topic's helpfulness, topics without one left out."""
    weight = {side: np.zeros(len(topics)) for side in SIDES}
    for p, answers in enumerate(topics):
        for topic in (t for answer in answers for t in answer):
            if not weighted or topic.helpfulness is not None:
                weight[topic.where][p] += (topic.helpfulness or 0.0) if weighted else 1.0
    total = sum(weight.values(), np.zeros(len(topics)))
    suffix = "_by_helpfulness" if weighted else ""
    return {f"topics_{side}{suffix}": (weight[side], total) for side in SIDES}


def shared_topics(
    topics: Sequence[Sequence[Sequence[Topic]]], weighted: bool
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Metric -> (sums, counts) per prompt: the share of A's topics that B has too, and of B's
    topics that A has too; weighted as in `topic_shares`."""
    shares = topic_shares(topics, weighted)
    suffix = "_by_helpfulness" if weighted else ""
    both = shares[f"topics_both{suffix}"][0]
    return {
        f"topics_of_{side}_in_both{suffix}": (both, both + shares[f"topics_{side}{suffix}"][0])
        for side in ("A", "B")
    }


def mean_helpfulness(
    topics: Sequence[Sequence[Sequence[Topic]]],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Metric -> (sums, counts) per prompt: the mean helpfulness of topics only in A, in both,
    only in B."""
    metrics = {}
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
        metrics[f"topic_helpfulness_{side}"] = (
            np.array([sum(k) for k in known], float),
            np.array([len(k) for k in known], float),
        )
    return metrics


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
    samples, triples = 0, []
    for p, (d, s) in enumerate(zip(distances, scores, strict=True)):
        good = keep(s, threshold)
        samples += len(good)
        if len(good) >= LEAST:
            triples.append((p, pair_mean(d[np.ix_(good, good)]), pair_mean(d)))
    rows = np.array(triples, float).reshape(-1, 3)
    return Filtered(threshold, samples, rows[:, 0].astype(int), rows[:, 1], rows[:, 2])


def thresholds(scores: Sequence[Sequence[float | None]]) -> list[float]:
    """Every threshold that keeps something and drops something: the scores that
    occur, but the lowest."""
    return sorted({s for row in scores for s in row if s is not None})[1:]


def pair_mean(distances: np.ndarray) -> float:
    """Mean over pairs i < j."""
    n = len(distances)
    return float((distances.sum() - np.trace(distances)) / (n * (n - 1)))
