"""Every system answers every task: responses on disk, judged, as rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from veneer.foundation.files import file_name
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement
from veneer.foundation.run_record import RunRecord
from veneer.judges.judge import Judge
from veneer.measures.answer_tokens import ShownAnswer
from veneer.measures.behaviour import Scored, behaviour_rows, score
from veneer.measures.choice import score_choices
from veneer.measures.config import StudyConfig
from veneer.measures.differences import difference_rows
from veneer.measures.discernment import AnsweredTask
from veneer.measures.well_formed import add_well_formed, warn_left_out
from veneer.models.formats import PlainFormat
from veneer.prompts.prompt import Prompt
from veneer.prompts.templates import marks
from veneer.systems.respond import respond
from veneer.systems.responses import Response
from veneer.systems.system import Answering, System
from veneer.tasks.task import Task

SHOWN = ("base", "veneer", "aligned")  # systems of the response browser


class Answers(NamedTuple):
    """rows: of the study "measure". shown: the responses that the report shows. answered: what each
    task that is answered in words got, by its name."""

    rows: list[Measurement]
    shown: list[ShownAnswer]
    answered: dict[str, AnsweredTask]


def answer_all(
    systems: Sequence[Answering],
    tasks: Sequence[Task],
    test: Mapping[str, list[Prompt]],
    judges: Mapping[str, list[Judge]],
    out: Path,
    config: StudyConfig,
    record: RunRecord,
    progress: Progress | None = None,
) -> Answers:
    """Answer every task with every system, and score the answers."""
    rows: list[Measurement] = []
    shown: list[ShownAnswer] = []
    answered: dict[str, AnsweredTask] = {}
    left_out: dict[str, str] = {}
    ends = next((_ends(s) for s in systems if isinstance(s, System) and s.name == "base"), ())
    for task in tasks:
        prompts = test[task.name]
        keep = {p.id: p for p in prompts[: config.shown]}
        scored: list[Scored] = []
        written: dict[str, list[Response]] = {}
        for system in systems:
            path = out / "responses" / f"{task.name}.{file_name(system.name)}.jsonl"
            with record.stage(f"measure {system.name}"):
                if task.kind == "choice":
                    scored.append(
                        score_choices(
                            system,
                            task,
                            prompts,
                            out=path,
                            batch_size=config.batch_size,
                            progress=progress,
                        )
                    )
                    continue
                answers = respond(
                    system,
                    prompts,
                    config.sampling(task),
                    stop_strings=tuple(dict.fromkeys((*task.stop, *ends))),
                    batch_size=config.batch_size,
                    samples=config.samples,
                    out=path,
                    progress=progress,
                )
            written[system.name] = answers
            with record.stage("judge"):
                scored.append(score(task, prompts, answers, judges[task.name], progress))
            if system.name in SHOWN:
                verdicts = headline_scores(task, prompts, scored[-1])
                shown += [
                    ShownAnswer(keep[r.prompt_id], r, verdicts[r.prompt_id])
                    for r in answers
                    if r.prompt_id in keep and r.sample_id == 0
                ]
        if written:
            by_system = {one.system: one for one in scored}
            answered[task.name] = AnsweredTask(prompts, by_system, written)
            with record.stage("well formed"):
                reason = add_well_formed(
                    scored,
                    written,
                    systems,
                    prompts,
                    out=out / "likelihoods",
                    batch_size=config.batch_size,
                )
            if reason is not None:
                warn_left_out(task.name, reason)
                left_out[task.name] = reason
        rows += behaviour_rows(task, prompts, scored, seed=config.seed)
        rows += difference_rows(task, prompts, scored, seed=config.seed)
    record.note(well_formed_left_out=left_out)
    return Answers(rows, shown, answered)


def _ends(base: System) -> tuple[str, ...]:
    """What ends an answer behind a template that replaces the tasks' own, for all systems alike:
    base continues with another turn."""
    form = base.format
    return marks(form.template) if isinstance(form, PlainFormat) and not form.own else ()


def headline_scores(
    task: Task, prompts: Sequence[Prompt], scored: Scored
) -> dict[str, dict[str, float | None]]:
    """prompt id -> headline -> score; None where a prompt has none."""
    metrics = [m for m in task.headlines if m in scored.values]
    return {
        p.id: {
            m: None if math.isnan(scored.values[m][i]) else float(scored.values[m][i])
            for m in metrics
        }
        for i, p in enumerate(prompts)
    }
