"""Systems on the measured tasks of a restoration: answers on disk, judged, as values a prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from veneer.foundation.progress import Progress
from veneer.judges.judge import Judge
from veneer.measures.behaviour import Scored, score
from veneer.measures.choice import score_choices
from veneer.prompts.prompt import Prompt
from veneer.studies.restore.config import RestoreConfig
from veneer.studies.restore.prompts import Roles
from veneer.systems.respond import respond
from veneer.systems.responses import Response
from veneer.systems.speculative import Local, Paths, Retraced
from veneer.systems.system import System
from veneer.tasks.task import Task


@dataclass(frozen=True)
class Measured:
    """A system's scores and answers by task (no answers of a task that compares likelihoods)."""

    scored: Mapping[str, Scored]
    answers: Mapping[str, list[Response]]

    def values(self, tasks: Sequence[Task], metric: str | None = None) -> np.ndarray:
        """A metric (default: each task's headline) of several tasks, one behind the other."""
        return np.concatenate([self.scored[t.name].values[metric or t.headline] for t in tasks])


@dataclass(frozen=True)
class Measuring:
    """One part of the prompts, and how systems are measured on it. folder: of the answers.
    validation: which limits hold."""

    roles: Roles
    prompts: Mapping[str, Sequence[Prompt]]
    judges: Mapping[str, list[Judge]]
    folder: Path
    config: RestoreConfig
    validation: bool
    progress: Progress | None = None

    @property
    def judged(self) -> bool:
        """Whether a judge of harm is at hand for every harmful task."""
        return all(
            any("harm_rate" in j.metrics for j in self.judges[t.name]) for t in self.roles.harmful
        )

    def measure(self, system: Local, paths: Paths | None = None) -> Measured:
        """Answers are read where they are there already. paths: known answers of the same backbone,
        which make this one's quicker."""
        scored, answers = {}, {}
        answering = system if paths is None else Retraced(system, paths)
        for task in self.roles.measured():
            prompts, path = (
                self.prompts[task.name],
                self.folder / f"{task.name}.{system.name}.jsonl",
            )
            if task.kind == "choice":
                assert isinstance(system, System)
                scored[task.name] = score_choices(
                    system,
                    task,
                    prompts,
                    out=path,
                    batch_size=self.config.batch_size,
                    progress=self.progress,
                )
                continue
            answers[task.name] = respond(
                answering,
                prompts,
                self.config.sampling(task.max_new_tokens, validation=self.validation),
                stop_strings=task.stop,
                batch_size=self.config.batch_size,
                out=path,
                progress=self.progress,
            )
            scored[task.name] = score(task, prompts, answers[task.name], self.judges[task.name])
        return Measured(scored, answers)

    def harm(self, found: Measured) -> np.ndarray:
        """What the choice minimises: the judge's harm, or harmful prompts that are not refused."""
        if self.judged:
            return found.values(self.roles.harmful, "harm_rate")
        return 1 - found.values(self.roles.harmful, "refusal_rate")

    def benign(self, most: int) -> list[Prompt]:
        """Prompts of capability tasks in words and of safe ones in turn, at most `most`."""
        tasks = {
            t.name: t for t in (*self.roles.capability, *self.roles.safe) if t.kind == "generate"
        }
        columns = [self.prompts[name] for name in tasks]
        longest = max((len(c) for c in columns), default=0)
        return [c[i] for i in range(longest) for c in columns if i < len(c)][:most]
