"""How accurate judges are on people's labels: figures by judge id, from accuracy.json.

An id without an entry has no known accuracy. A new version of a judge has a new id, so that it
never carries the figures of the one before.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class MeasuredAccuracy:
    """Balanced accuracy on one set of labels with its 95 % interval. labels: the set. how: what was
    left out of the judge's fit. n: number of labelled answers."""

    labels: str
    how: str
    n: int
    balanced_accuracy: float
    low: float
    high: float


def accuracy_of(judge_id: str) -> tuple[MeasuredAccuracy, ...]:
    """The measured accuracies of a judge; empty where none is known."""
    return _table().get(judge_id, ())


@lru_cache(maxsize=1)
def _table() -> dict[str, tuple[MeasuredAccuracy, ...]]:
    rows = json.loads(Path(__file__).with_name("accuracy.json").read_text(encoding="utf-8"))
    return {
        judge: tuple(MeasuredAccuracy(**row) for row in measured)
        for judge, measured in rows.items()
    }
