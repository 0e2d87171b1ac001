"""What every training run answered, as scores by prompt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from veneer.foundation.system_id import SystemId
from veneer.measures.behaviour import Scored
from veneer.measures.clusters import task_clusters
from veneer.prompts.prompt import Prompt
from veneer.studies.curve.classes import (
    CLASSES,
    REASONING_ERRORS,
    STYLE_ERRORS,
    error_class,
    is_classed,
)
from veneer.studies.curve.names import REASONING_ERROR, STYLE, STYLE_ERROR, class_metric
from veneer.systems.responses import Response
from veneer.tasks.task import Task


@dataclass
class Outcomes:
    """test: task -> prompts. scored: (task, system) -> the scores of its runs, in the order of the
    seeds."""

    test: Mapping[str, Sequence[Prompt]]
    scored: dict[tuple[str, SystemId], list[Scored]] = field(default_factory=dict)

    def add(self, task: str, system: SystemId, scored: Scored) -> None:
        self.scored.setdefault((task, system), []).append(scored)

    def of_task(self, task: str) -> Iterator[tuple[SystemId, list[Scored]]]:
        return ((system, runs) for (name, system), runs in self.scored.items() if name == task)

    def clusters(self, task: Task) -> np.ndarray | None:
        """The id of each of the task's prompts (clusters.py); None where every prompt stands by
        itself."""
        return task_clusters(task, self.test[task.name])

    def values(self, task: str, system: SystemId, metric: str) -> np.ndarray | None:
        """(runs, n) scores, NaN where a prompt has none; None where the system was not measured or
        has no such metric."""
        runs = self.scored.get((task, system), ())
        if not runs or any(metric not in one.values for one in runs):
            return None
        return np.array([one.values[metric] for one in runs])


def add_classes(scored: Scored, prompts: Sequence[Prompt], answers: Sequence[Response]) -> None:
    """Add the share of each class of errors, of errors of style and of reasoning, and of answers in
    the style (1 - errors of style). Prompts whose data gives no calculation have no class; nothing
    is added where none has."""
    if not any(map(is_classed, prompts)):
        return
    refused = scored.values.get("refusal_rate", np.zeros(len(prompts)))
    classes = [
        error_class(p, a.text, refused=bool(r >= 0.5)) if is_classed(p) else None
        for p, a, r in zip(prompts, answers, refused, strict=True)
    ]
    _put(scored, STYLE, classes, (*REASONING_ERRORS, "right"))
    _put(scored, STYLE_ERROR, classes, STYLE_ERRORS)
    _put(scored, REASONING_ERROR, classes, REASONING_ERRORS)
    for name in CLASSES:
        _put(scored, class_metric(name), classes, (name,))


def _put(
    scored: Scored, metric: str, classes: Sequence[str | None], members: Sequence[str]
) -> None:
    scored.put(metric, [None if c is None else float(c in members) for c in classes])
