"""The whole method on a pair: capture, extract, measure, report. Every stage goes on where a
former run stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from veneer.capture import Capture, CaptureConfig, capture
from veneer.foundation.errors import InputError
from veneer.foundation.files import folder_lock, json_lines, write_text
from veneer.foundation.progress import Progress
from veneer.foundation.results import Results
from veneer.foundation.run_record import RunRecord
from veneer.head.config import ExtractConfig
from veneer.head.split import Split
from veneer.head.veneer import Veneer
from veneer.judges.judge import Judge
from veneer.judges.llm import LLMJudge
from veneer.judges.registry import judges_of
from veneer.measures.answers import answer_all
from veneer.measures.config import StudyConfig
from veneer.measures.extraction import (
    control_rows,
    extract_to,
    joint_rows,
    own_rows,
    solver_progress,
    write_tables,
)
from veneer.measures.positions import position_system_rows
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.report import write_report
from veneer.studies.portion.baselines import (
    baseline_systems,
    check_baselines,
    needs_capture,
    parse_baselines,
)
from veneer.studies.portion.browser_tokens import token_rows
from veneer.systems.system import System, control_systems, pair_systems
from veneer.tasks.task import Task

__all__ = ["StudyConfig", "measure", "study"]
CaptureWith = Callable[[Pair, Sequence[Prompt], Path, CaptureConfig, Progress | None], Capture]
LEAST_TRAIN = 3  # train, select, report


def study(
    load: Callable[[], Pair],
    tasks: Sequence[Task],
    out: str | Path,
    config: StudyConfig | None = None,
    *,
    said: dict[str, Any] | None = None,
    command: str = "run",
    capture_with: CaptureWith = capture,
    progress: Progress | None = None,
) -> Results:
    """Run the whole method and write the study folder (docs/architecture.md).

    load: gives the pair; it is not called where the folder is finished already. said: more of the
    configuration for run.json (model names, device), which a second run must share. capture_with:
    makes the capture, by default in this process (scale/ has another way). Tasks without train
    prompts are measured only. Raises InputError where `out` was made with another configuration, or
    where no task has train prompts.
    """
    with folder_lock(Path(out)):
        work = _Work.begin(tasks, Path(out), config or StudyConfig(), said, command, progress)
        if work.record.finished:
            return work.read()
        train = _train(tasks, work.config.train_prompts)
        names = _learnable(parse_baselines(work.config.baselines, list(train)), train, work.config)
        pair = work.load(load)
        with work.record.stage("capture"):
            prompts = [p for some in train.values() for p in some]
            taken = capture_with(
                pair,
                prompts,
                work.out / "capture",
                work.config.capture_config([t for t in tasks if t.name in train]),
                progress,
            )
        veneer, more = _extract(work, pair, taken, list(train))
        more += _baselines(work, names, pair, taken, veneer)
        with work.record.stage("held-out"):
            work.results.extend(
                position_system_rows(taken, pair, more, prompts, seed=work.config.seed)
            )
        work.finish(pair, veneer, more)
        return work.results


def measure(
    load: Callable[[], Pair],
    veneer: Veneer,
    tasks: Sequence[Task],
    out: str | Path,
    config: StudyConfig | None = None,
    *,
    said: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """The behavioural part of `study`, with a veneer that is there already; baselines that need a
    capture are refused."""
    with folder_lock(Path(out)):
        work = _Work.begin(tasks, Path(out), config or StudyConfig(), said, "measure", progress)
        if work.record.finished:
            return work.read()
        names = parse_baselines(work.config.baselines, [])
        if some := [n for n in names if needs_capture(n)]:
            raise InputError(
                f"{', '.join(some)} is made from a capture, which `veneer measure` has not; use "
                "`veneer run`"
            )
        pair = work.load(load, veneer)
        controls = control_systems(pair, None) if work.config.controls else []
        work.finish(pair, veneer, [*controls, *_baselines(work, names, pair, None, veneer)])
        return work.results


@dataclass
class _Work:
    """What all stages of a study share."""

    tasks: Sequence[Task]
    test: dict[str, list[Prompt]]
    out: Path
    config: StudyConfig
    record: RunRecord
    results: Results
    progress: Progress | None

    @classmethod
    def begin(
        cls,
        tasks: Sequence[Task],
        out: Path,
        config: StudyConfig,
        said: dict[str, Any] | None,
        command: str,
        progress: Progress | None,
    ) -> _Work:
        """Everything that can be refused is refused here, before anything is written."""
        if not tasks:
            raise InputError("there is no task to measure; give at least one with --tasks")
        _, missing = judges_of(tasks, config.judges)
        record = RunRecord(
            out,
            command,
            {**(said or {}), "tasks": [t.name for t in tasks], "settings": config.facts()},
        )
        test = {t.name: t.prompts("test")[: config.test_prompts] for t in tasks}
        if not record.finished:
            for name, why in missing.items():
                logging.getLogger("veneer").warning(
                    "veneer: the judge %s is left out: %s", name, why
                )
        return cls(tasks, test, out, config, record, Results(), progress)

    def load(self, load: Callable[[], Pair], veneer: Veneer | None = None) -> Pair:
        with self.record.stage("load"):
            pair = load().dated(self.record.day)
            if veneer is not None:
                veneer.check_fits(pair.base)
        self.record.note(
            pair=pair.facts(),
            data={t.name: t.source() for t in self.tasks},
            seeds={"study": self.config.seed},
        )
        return pair

    def read(self) -> Results:
        return Results.read(self.out / "results.jsonl")

    def finish(self, pair: Pair, veneer: Veneer, more: Sequence[System]) -> None:
        """Answers of every system, the browser's tokens, results and report."""
        systems = [*pair_systems(pair, veneer), *more]
        judges, missing = judges_of(
            self.tasks,
            replace(self.config.judges, cache=self.config.judges.cache or self.out / "judge"),
        )
        ids = sorted({judge.id for some in judges.values() for judge in some})
        self.record.note(systems=[s.facts() for s in systems], judges=ids, judges_missing=missing)
        rows, shown = answer_all(
            systems,
            self.tasks,
            self.test,
            judges,
            self.out,
            self.config,
            self.record,
            self.progress,
        )
        self.results.extend(rows)
        self.record.note(judge_usage=_usage(judges))
        with self.record.stage("tokens"):
            prompts = [p for some in self.test.values() for p in some]
            rows_of_tokens = token_rows(
                pair, veneer, prompts, [s.response for s in shown], self.progress
            )
            tokens = (
                {**row, "scores": s.scores} for row, s in zip(rows_of_tokens, shown, strict=True)
            )
            write_text(self.out / "tokens.jsonl", json_lines(tokens))
        self.results.write(self.out / "results.jsonl")
        with self.record.stage("report"):
            write_report([self.out], self.out / "report.html")
        self.record.finish()
        write_report([self.out], self.out / "report.html")  # once more, with all its seconds


def _usage(judges: Mapping[str, list[Judge]]) -> dict[str, Any]:
    """What the judges that asked a model sent, read and cost, and how their verdicts came out."""
    asked = {
        judge.id: judge for some in judges.values() for judge in some if isinstance(judge, LLMJudge)
    }
    return {
        name: {"usage": asdict(judge.usage), "outcomes": dict(judge.counts)}
        for name, judge in asked.items()
    }


def _train(tasks: Sequence[Task], limit: int | None) -> dict[str, list[Prompt]]:
    """The train prompts of each task that has any, and that is answered in words."""
    train = {t.name: t.prompts("train")[:limit] if t.kind == "generate" else [] for t in tasks}
    for name, prompts in train.items():
        if 0 < len(prompts) < LEAST_TRAIN:
            raise InputError(
                f"found {len(prompts)} train prompts of {name}; expected at least {LEAST_TRAIN} "
                "(train, select, report)"
            )
    found = {name: prompts for name, prompts in train.items() if prompts}
    if not found:
        names = ", ".join(train)
        raise InputError(
            f"{names} have no train prompts to extract a veneer from; add a task that has, or "
            "give a veneer to `veneer measure`"
        )
    return found


def _learnable(
    names: Sequence[str], train: dict[str, list[Prompt]], config: StudyConfig
) -> list[str]:
    """A LoRA learns from the train part alone. `all` takes what is there; a number that was asked
    for is refused where there are fewer."""
    groups = [task for task, prompts in train.items() for _ in prompts]
    most = len(Split.by_prompt(range(len(groups)), groups, config.seed).train)
    too_many = [n for n in names if n.startswith("lora-") and int(n.removeprefix("lora-")) > most]
    if refused := [n for n in too_many if n in config.baselines]:
        raise InputError(
            f"{refused[0]} learns from more answers than the {most} of the train part; give more "
            f"--train prompts, or lora-{most}"
        )
    return list(dict.fromkeys(f"lora-{most}" if n in too_many else n for n in names))


def _extract(
    work: _Work, pair: Pair, taken: Capture, tasks: Sequence[str]
) -> tuple[Veneer, list[System]]:
    """The joint veneer, each task's own and the head-capacity control, with their held-out rows and
    the shift table; and the controls."""
    config, out, record, device = work.config, work.out, work.record, pair.base.device
    how = _how(config)
    log = solver_progress(work.progress)
    with record.stage("extract"):
        veneer = extract_to(taken, how, out / "veneer", device=device, log=log)
    with record.stage("held-out"):
        found, rows = joint_rows(taken, veneer, how, device=device)
        work.results.extend(rows)
        write_tables(found, taken, out)
    if config.own and len(tasks) > 1:
        with record.stage("extract own"):
            for task in tasks:
                own = extract_to(
                    taken,
                    replace(how, tasks=(task,)),
                    out / f"veneer-{task}",
                    device=device,
                    log=log,
                )
                work.results.extend(own_rows(taken, own, task, how, device=device))
    if not config.controls:
        return veneer, []
    with record.stage("extract control"):
        shuffled = extract_to(
            taken, replace(how, shuffled=True), out / "control", device=device, log=log
        )
        work.results.extend(control_rows(taken, shuffled, how, device=device))
    return veneer, control_systems(pair, shuffled)


def _how(config: StudyConfig) -> ExtractConfig:
    return replace(config.extraction, seed=config.seed)


def _baselines(
    work: _Work, names: Sequence[str], pair: Pair, taken: Capture | None, veneer: Veneer
) -> list[System]:
    """The baselines that the prompts leave room for; what is left out stands in
    run.json and in the log."""
    longest = max((work.config.sampling(t).max_new_tokens for t in work.tasks), default=1)
    fit, left_out = check_baselines(
        names, pair, [p for some in work.test.values() for p in some], longest
    )
    for sentence in left_out:
        logging.getLogger("veneer").warning("veneer: %s", sentence)
    if not fit:
        return []
    work.record.note(baselines_left_out=left_out)
    with work.record.stage("baselines"):
        log = solver_progress(work.progress)
        return baseline_systems(
            fit, pair, taken, veneer, _how(work.config), work.out, progress=work.progress, log=log
        )
