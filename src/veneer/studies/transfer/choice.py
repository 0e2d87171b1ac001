"""Which alpha is baked, and leads in the report: chosen by a stated rule on prompts that are
neither reported on nor tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement
from veneer.judges.judge import Judge
from veneer.measures.behaviour import score
from veneer.measures.config import StudyConfig
from veneer.measures.held_out import HeldOut
from veneer.prompts.prompt import Prompt
from veneer.statistics import intervals
from veneer.studies.transfer.kl import STUDY, mean_kl, select_rows
from veneer.systems.respond import respond
from veneer.systems.system import Answering
from veneer.tasks.task import Task

BY_KL = (
    "the lowest KL(large aligned || shifted) in nats a token on the select part of the "
    "train prompts"
)
BY_SCORE = (
    "the highest mean over tasks of the task's first headline on the select part of the train "
    "prompts, counted as 1 minus itself where lower is better"
)


@dataclass(frozen=True)
class Choice:
    """system: the one chosen. rule: in words. n: prompts it was chosen on. figures: system -> what
    the rule compared."""

    system: str
    rule: str
    n: int
    figures: dict[str, float]

    def facts(self) -> dict[str, Any]:
        return asdict(self)


def choose_by_kl(tables: Mapping[str, HeldOut]) -> tuple[Choice, list[Measurement]]:
    """tables: shifted system -> its held-out table on the select part. The first of
    equal ones is chosen."""
    figures = {name: float(mean_kl(found).value or 0.0) for name, found in tables.items()}
    best = min(figures, key=lambda name: figures[name])
    n = max(mean_kl(found).n for found in tables.values())
    return Choice(best, BY_KL, n, figures), list(select_rows(dict(tables)))


def choose_by_score(
    systems: Sequence[Answering],
    tasks: Sequence[Task],
    prompts: Sequence[Prompt],
    judges: Mapping[str, Sequence[Judge]],
    out: Path,
    config: StudyConfig,
    progress: Progress | None = None,
) -> tuple[Choice, list[Measurement]]:
    """Let the shifted systems answer the select prompts (into `out`) and compare their
    headlines. Where no task has a headline that is a share, the first system is chosen, and
    the rule says so."""
    rows: list[Measurement] = []
    worth: dict[str, list[float]] = {s.name: [] for s in systems}
    for task in tasks:
        own = [p for p in prompts if p.task == task.name]
        for system in systems if own else ():
            answers = respond(
                system,
                own,
                config.sampling(task),
                stop_strings=task.stop,
                batch_size=config.batch_size,
                samples=config.samples,
                out=out / f"{task.name}.{system.name}.jsonl",
                progress=progress,
            )
            found = score(task, own, answers, judges[task.name], progress)
            metric = next((m for m in task.headlines if found.units.get(m) == "share"), None)
            values = (
                np.zeros(0)
                if metric is None
                else found.values[metric][~np.isnan(found.values[metric])]
            )
            if metric is None or not len(values):
                continue
            mean = intervals.mean(values, seed=config.seed)
            judge = found.judges[metric]
            rows.append(
                Measurement.estimated(
                    mean,
                    STUDY,
                    task.name,
                    metric,
                    system.name,
                    judge=judge,
                    split="select",
                    unit="share",
                )
            )
            worth[system.name].append(
                float(values.mean()) if task.headlines[metric] == "up" else 1 - float(values.mean())
            )
    figures = {name: float(np.mean(some)) for name, some in worth.items() if some}
    if not figures:
        return Choice(
            systems[0].name,
            "the first of --alphas: no task has train prompts with a headline to compare",
            0,
            {},
        ), rows
    best = max(figures, key=lambda name: figures[name])
    return Choice(best, BY_SCORE, len(prompts), figures), rows
