"""Which prompts are not independent, as ids that intervals take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from veneer.prompts.prompt import Prompt


def prompt_clusters(prompts: Sequence[Prompt]) -> np.ndarray | None:
    """One id per prompt (n,): its task and cluster, or the prompt itself; None where every prompt
    stands by itself. Intervals then resample whole clusters."""
    if all(p.cluster is None for p in prompts):
        return None
    return np.array(
        [f"{p.task} {p.id}" if p.cluster is None else f"{p.task} in {p.cluster}" for p in prompts]
    )


def kept(clusters: np.ndarray | None, keep: np.ndarray) -> np.ndarray | None:
    """The ids of some of the prompts. keep: a mask, or places."""
    return None if clusters is None else clusters[keep]
