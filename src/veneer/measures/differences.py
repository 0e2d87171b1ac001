"""Differences of every system from base and from the aligned model, with Holm's adjustment
for their number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from veneer.foundation.results import Measurement
from veneer.measures import words
from veneer.measures.behaviour import Scored
from veneer.measures.clusters import kept, task_clusters
from veneer.prompts.prompt import Prompt
from veneer.statistics.comparisons import compare
from veneer.tasks.task import Task


def difference_rows(
    task: Task,
    prompts: Sequence[Prompt],
    scored: Sequence[Scored],
    *,
    split: str = "test",
    seed: int = 0,
) -> Iterator[Measurement]:
    """Rows `difference_from_base` and `difference_from_aligned` of a task's headlines, over the
    prompts that every system has a value for. One family is all the differences of one headline;
    the adjusted p value is a fact. The interval is the difference's own, not adjusted."""
    by_name = {s.system: s for s in scored}
    clusters = task_clusters(task, prompts)
    for metric in task.headlines:
        values = {name: s.values[metric] for name, s in by_name.items() if metric in s.values}
        keep = (
            ~np.isnan(np.array(list(values.values()))).any(axis=0) if values else np.zeros(0, bool)
        )
        pairs = [
            (a, b)
            for b in ("base", "aligned")
            for a in values
            if b in values and a not in ("base", b)
        ]
        if not keep.any() or not pairs:
            continue
        comparisons = compare(
            [(values[a][keep], values[b][keep]) for a, b in pairs],
            seed=seed,
            clusters=kept(clusters, keep),
        )
        for (a, b), c in zip(pairs, comparisons, strict=True):
            yield Measurement.estimated(
                c.difference,
                "measure",
                task.name,
                f"difference_from_{b}",
                a,
                judge=by_name[a].judges[metric],
                of=metric,
                split=split,
                note=words.adjusted_p(c.adjusted, c.family, c.difference.note),
                facts={"adjusted_p": c.adjusted, "family": c.family},
                unit=by_name[a].units.get(metric, "share"),
            )
