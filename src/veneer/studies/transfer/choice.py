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
from veneer.measures.behaviour import Scored, score
from veneer.measures.clusters import kept, task_clusters
from veneer.measures.config import StudyConfig
from veneer.measures.held_out import HeldOut
from veneer.prompts.prompt import Prompt
from veneer.statistics import intervals
from veneer.studies.transfer.kl import mean_kl, select_rows
from veneer.studies.transfer.names import STUDY
from veneer.studies.transfer.words import BEST_HEADLINES, FIRST_ALPHA, LOWEST_KL
from veneer.systems.respond import respond
from veneer.systems.system import Answering
from veneer.tasks.task import Task


@dataclass(frozen=True)
class Choice:
    """system: name of the one that is chosen. rule: a key of `words.RULES`. n: number of prompts
    behind the choice. figures: system -> what the rule compared."""

    system: str
    rule: str
    n: int
    figures: dict[str, float]

    def facts(self) -> dict[str, Any]:
        return asdict(self)


def choose_by_kl(tables: Mapping[str, HeldOut]) -> tuple[Choice, list[Measurement]]:
    """Choose the shifted system that is nearest to the large aligned model, the first among equals.
    tables: shifted system -> its held-out table on the select part."""
    means = {name: mean_kl(table) for name, table in tables.items()}
    figures = {name: float(mean.value or 0.0) for name, mean in means.items()}
    best = min(figures, key=lambda name: figures[name])
    n = max(mean.n for mean in means.values())
    return Choice(best, LOWEST_KL, n, figures), list(select_rows(dict(tables)))


def choose_by_score(
    systems: Sequence[Answering],
    tasks: Sequence[Task],
    prompts: Sequence[Prompt],
    judges: Mapping[str, Sequence[Judge]],
    out: Path,
    config: StudyConfig,
    progress: Progress | None = None,
) -> tuple[Choice, list[Measurement]]:
    """Choose the shifted system with the best headlines on the select prompts, the first among
    equals. Where no task has a headline that is a share, the first system is chosen.

    out: folder for the answers. Returns the choice and its rows, split "select".
    """
    rows: list[Measurement] = []
    worth: dict[str, list[float]] = {s.name: [] for s in systems}
    for task in tasks:
        own = [p for p in prompts if p.task == task.name]
        for system in systems if own else ():
            path = out / f"{task.name}.{system.name}.jsonl"
            answers = respond(
                system,
                own,
                config.sampling(task),
                stop_strings=task.stop,
                batch_size=config.batch_size,
                samples=config.samples,
                out=path,
                progress=progress,
            )
            scored = score(task, own, answers, judges[task.name], progress)
            if headline := _headline(task, own, system.name, scored, config.seed):
                rows.append(headline[0])
                worth[system.name].append(headline[1])
    figures = {name: float(np.mean(values)) for name, values in worth.items() if values}
    if not figures:
        return Choice(systems[0].name, FIRST_ALPHA, 0, {}), rows
    best = max(figures, key=lambda name: figures[name])
    return Choice(best, BEST_HEADLINES, len(prompts), figures), rows


def _headline(
    task: Task, prompts: Sequence[Prompt], system: str, scored: Scored, seed: int
) -> tuple[Measurement, float] | None:
    """The row of a task's first headline that is a share, and what it is worth, 1 at best; None
    where there is no such figure."""
    metric = next((m for m in task.headlines if scored.units.get(m) == "share"), None)
    if metric is None:
        return None
    known = ~np.isnan(scored.values[metric])
    if not known.any():
        return None
    values = scored.values[metric][known]
    row = Measurement.estimated(
        intervals.on_scale(
            values, 0, 1, seed=seed, clusters=kept(task_clusters(task, prompts), known)
        ),
        STUDY,
        task.name,
        metric,
        system,
        judge=scored.judges[metric],
        split="select",
        unit="share",
    )
    mean = float(values.mean())
    return row, mean if task.headlines[metric] == "up" else 1 - mean
