"""Stances of a prompt's answers: entropy, disagreement, and which of base's stances one aligned answer covers (arXiv 2406.17692)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

SAYS: dict[str, frozenset[str]] = {
    "yes": frozenset({"yes"}), "no": frozenset({"no"}), "both": frozenset({"yes", "no"}), "other": frozenset(),
}  # fmt: skip


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
    """|U and E(aligned)| / |U|, U the union of what base's labels say; None where they say neither yes nor no."""
    said = frozenset[str]().union(*(SAYS[label] for label in base))
    return len(said & SAYS[aligned]) / len(said) if said else None


def stance_measures(labels: Sequence[str]) -> dict[str, float | None]:
    return {
        "stance_entropy": entropy(labels), "stance_disagreement": disagreement(labels), "stance_both_sides": both_sides(labels),
    }  # fmt: skip


STANCE_UNITS = {
    "stance_entropy": "bits", "stance_disagreement": "share of pairs", "stance_both_sides": "share", "stance_coverage": "share",
}  # fmt: skip
