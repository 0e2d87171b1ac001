"""Which prompts are not independent, as ids that intervals take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from veneer.prompts import clusters
from veneer.prompts.prompt import Prompt
from veneer.tasks.task import Task


def prompt_clusters(prompts: Sequence[Prompt]) -> np.ndarray | None:
    """One id per prompt (n,), the same for prompts of one cluster or of one text
    (prompts/clusters.py); None where every prompt stands by itself. Intervals then resample whole
    clusters."""
    numbers = clusters.prompt_clusters(prompts)
    return None if numbers is None else np.array(numbers)


def task_clusters(task: Task, prompts: Sequence[Prompt]) -> np.ndarray | None:
    """`prompt_clusters` of a task's prompts, with the clusters that the task names."""
    return prompt_clusters([replace(p, cluster=task.cluster(p)) for p in prompts])


def of_ids(clusters: Mapping[str, str] | None, ids: Sequence[str]) -> np.ndarray | None:
    """(n,) the cluster of each prompt id, as `prompts.clusters.clusters_by_id` gives them; an id
    that is not among them stands by itself."""
    return None if clusters is None else np.array([clusters.get(i, i) for i in ids], str)


def kept(clusters: np.ndarray | None, keep: np.ndarray) -> np.ndarray | None:
    """The ids of some of the prompts. keep: a mask, or places."""
    return None if clusters is None else clusters[keep]
