"""Which prompts stand side by side on a page: chosen by a rule, never by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

DIFFER, MOST = 6, 10  # prompts whose verdicts differ; prompts in all


class ShownPrompts(NamedTuple):
    """keys: (task, place in it) of each chosen prompt, in the order of the page. differ: how many
    were chosen because verdicts differ. prompts: how many there were to choose from."""

    keys: list[tuple[str, int]]
    differ: int
    prompts: int

    def facts(self) -> dict[str, Any]:
        """For run.json."""
        return {"shown": len(self.keys), "differ": self.differ, "prompts": self.prompts}


def choose_prompts(verdicts: Mapping[str, Sequence[np.ndarray]]) -> ShownPrompts:
    """The first `DIFFER` prompts on which the systems' verdicts differ, then the first ones of each
    task, up to `MOST` in all; tasks take turns in both steps.

    verdicts: by task, one array (n,) for each system, over the same n prompts in their order; NaN
    is no verdict, and differs from none.
    """
    differing = {
        task: [int(i) for i in np.flatnonzero(_differ(np.stack(list(values))))]
        for task, values in verdicts.items()
    }
    everything = {task: list(range(len(values[0]))) for task, values in verdicts.items()}
    first = _in_turn(differing)[:DIFFER]
    rest = [key for key in _in_turn(everything) if key not in set(first)]
    keys = [*first, *rest][:MOST]
    return ShownPrompts(keys, len(first), sum(map(len, everything.values())))


def _differ(values: np.ndarray) -> np.ndarray:
    """(systems, n) -> (n,): whether two systems have different verdicts."""
    known = ~np.isnan(values)
    high = np.where(known, values, -np.inf).max(axis=0)
    low = np.where(known, values, np.inf).min(axis=0)
    return high > low


def _in_turn(places: Mapping[str, Sequence[int]]) -> list[tuple[str, int]]:
    """The first place of every task, then the second of every task, and so on."""
    longest = max(map(len, places.values()), default=0)
    return [(task, own[i]) for i in range(longest) for task, own in places.items() if i < len(own)]
