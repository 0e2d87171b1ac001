"""The superficial portion of a pair's alignment: capture, extract, measure (docs/architecture.md).

`study` runs the whole method, `measure` its behavioural part with an existing veneer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from veneer.capture import Capture, CaptureConfig, capture
from veneer.foundation.errors import InputError
from veneer.foundation.files import json_lines, write_text
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement, Results, join_notes
from veneer.foundation.stages import Stage
from veneer.foundation.system_id import SystemId
from veneer.head.events import solver_progress
from veneer.head.split import Split
from veneer.head.veneer import Veneer
from veneer.judges.judge import Judge
from veneer.judges.registry import check_judges
from veneer.measures import words
from veneer.measures.answer_tokens import TokenReader, token_rows
from veneer.measures.answers import answer_all
from veneer.measures.config import StudyConfig
from veneer.measures.discernment import measure_discernment
from veneer.measures.extraction import (
    control_rows,
    extract_to,
    joint_rows,
    own_rows,
    write_tables,
)
from veneer.measures.positions import position_system_rows
from veneer.measures.stages import (
    CONTROL_SHARE,
    CONTROLS,
    EXTRACT_SHARE,
    OWN_SHARE,
    READING,
    answer_stage,
    capture_stage,
    extract_stage,
    first_batch,
)
from veneer.models.pair import Pair
from veneer.prompts.clusters import prompt_clusters
from veneer.prompts.prompt import Prompt
from veneer.studies.portion.baselines import (
    baseline_systems,
    check_baselines,
    needs_capture,
    parse_baselines,
    word_for,
    words_of,
)
from veneer.studies.runner import run_study
from veneer.studies.study import Run
from veneer.systems.forced import Beginning
from veneer.systems.system import System, control_systems, pair_systems
from veneer.tasks.task import Task
from veneer.tasks.train_prompts import TrainPrompts

__all__ = ["StudyConfig", "measure", "study"]
CaptureWith = Callable[[Pair, Sequence[Prompt], Path, CaptureConfig, Progress | None], Capture]
LEAST_TRAIN = 3  # prompts of a task: one each to train, select and report


def study(
    load: Callable[[], Pair],
    tasks: Sequence[Task],
    out: str | Path,
    config: StudyConfig | None = None,
    *,
    settings: dict[str, Any] | None = None,
    command: str = "run",
    capture_with: CaptureWith = capture,
    progress: Progress | bool | None = None,
) -> Results:
    """Run the whole method and write the study folder `out`.

    load: gives the pair; not called where the folder is finished. settings: more of what a second
    run must share, for run.json (names of models, device). capture_with: makes the capture; by
    default in this process (scale/ has another way). Tasks without train prompts are only measured.
    Raises InputError where `out` holds another configuration, or where no task has train prompts.
    """
    portion = PortionStudy(
        load, tasks, config or StudyConfig(), settings or {}, command, capture_with
    )
    return run_study(portion, out, progress=progress)


def measure(
    load: Callable[[], Pair],
    veneer: Veneer,
    tasks: Sequence[Task],
    out: str | Path,
    config: StudyConfig | None = None,
    *,
    beginning: Beginning | None = None,
    settings: dict[str, Any] | None = None,
    progress: Progress | bool | None = None,
) -> Results:
    """The behavioural part of `study`, with an existing veneer. beginning: the text with which
    every answer begins. Raises InputError for baselines that learn from a capture, and for a
    beginning of answers that have no text."""
    measured = MeasureStudy(load, tasks, config or StudyConfig(), settings or {}, veneer, beginning)
    return run_study(measured, out, progress=progress)


class TaskStudy:
    """Base of `PortionStudy` and `MeasureStudy`: a pair, and the answers of systems to tasks."""

    def __init__(
        self,
        load: Callable[[], Pair],
        tasks: Sequence[Task],
        config: StudyConfig,
        settings: dict[str, Any],
        name: str,
    ):
        self.load = load
        self.tasks = tasks
        self.config = config
        self.more_settings = settings
        self.name = name
        self.test: dict[str, list[Prompt]] = {}
        self.baselines: list[SystemId] = []
        self.answer_tokens: float | None = None  # mean of the aligned model's, once known

    def settings(self) -> dict[str, Any]:
        return {
            **self.more_settings,
            "tasks": [t.name for t in self.tasks],
            "settings": self.config.facts(),
        }

    def check(self) -> None:
        if not self.tasks:
            raise InputError("there is no task to measure; give at least one with --tasks")
        check_judges(self.tasks, self.config.judges)
        self.test = {t.name: t.prompts("test")[: self.config.test_prompts] for t in self.tasks}

    def answer_stages(self, systems: Sequence[str]) -> tuple[Stage, ...]:
        """The stages of `answer_rows`, for systems of these names."""
        answers = answer_stage(self.tasks, self.test, systems, self.config, self.answer_tokens)
        prompts = sum(answers.prompts.values())
        shown = sum(min(n, self.config.shown) for n in answers.prompts.values())
        longest = answers.new_tokens / max(1, answers.answers)
        return (
            answers,
            Stage("discernment", share=READING * 3 * prompts),
            Stage("tokens", share=3 * shown * longest, writes=("tokens.jsonl",)),
        )

    def load_pair(self, run: Run, veneer: Veneer | None = None) -> Pair:
        """The pair, which the veneer must fit."""
        with run.stage("load"):
            pair = self.load().dated(run.day)
            if veneer is not None:
                veneer.check_fits(pair.base)
            run.expect(pair.base, pair.base_format, first_batch(self.test, self.config.batch_size))
        run.note(
            pair=pair.facts(),
            data={t.name: t.source() for t in self.tasks},
            seeds={"study": self.config.seed},
        )
        return pair

    def baseline_systems(
        self, run: Run, pair: Pair, capture: Capture | None, veneer: Veneer
    ) -> list[System]:
        """The baselines that the prompts leave room for; run.json and the log name the others."""
        longest = max((self.config.sampling(t).max_new_tokens for t in self.tasks), default=1)
        prompts = [p for prompts in self.test.values() for p in prompts]
        fit, left_out = check_baselines(self.baselines, pair, prompts, longest)
        for sentence in left_out:
            logging.getLogger("veneer").warning("veneer: %s", sentence)
        if not fit:
            return []
        run.note(baselines_left_out=left_out)
        run.identify(*fit)
        with run.stage("baselines"):
            extraction = replace(self.config.extraction, seed=self.config.seed)
            log = solver_progress(run.progress)
            return baseline_systems(
                fit, pair, capture, veneer, extraction, run.out, progress=run.progress, log=log
            )

    def answer_rows(
        self,
        run: Run,
        judges: dict[str, list[Judge]],
        pair: Pair,
        veneer: Veneer,
        more: Sequence[System],
    ) -> list[Measurement]:
        """The rows of every system's answers; and the files of answers, and of the browser's
        tokens."""
        three = pair_systems(pair, veneer)
        systems = [*three, *more]
        run.note(systems=[s.facts() for s in systems])
        for stage in self.answer_stages([s.name for s in systems]):
            run.revise(stage)
        answers = answer_all(
            systems,
            self.tasks,
            self.test,
            judges,
            run.out,
            self.config,
            run.record,
            run.progress,
        )
        run.note_judge_usage(judges)
        discernment_rows = measure_discernment(
            systems, self.tasks, answers.answered, run.out, run.record, seed=self.config.seed
        )
        with run.stage("tokens"):
            rows = token_rows(TokenReader.of_pair(pair, three), answers.shown, run.progress)
            write_text(run.out / "tokens.jsonl", json_lines(rows))
        return [*answers.rows, *discernment_rows]


class PortionStudy(TaskStudy):
    """The whole method on a pair. See `study` for the arguments."""

    def __init__(
        self,
        load: Callable[[], Pair],
        tasks: Sequence[Task],
        config: StudyConfig,
        settings: dict[str, Any],
        name: str = "run",
        capture_with: CaptureWith = capture,
    ):
        super().__init__(load, tasks, config, settings, name)
        self.capture_with = capture_with
        self.extraction = replace(config.extraction, seed=config.seed)
        self.learnt = TrainPrompts({}, {}, {})

    def check(self) -> None:
        super().check()
        prompts = TrainPrompts.of_tasks(self.tasks, self.config.train_prompts)
        self.learnt = _checked(prompts, self.tasks)
        self.baselines = _learnable(self.train, self.config)

    def stages(self) -> tuple[Stage, ...]:
        controls = (*CONTROLS, "shuffled") if self.config.controls else ()
        baselines = [b.name for b in self.baselines]
        own = list(self.train) if self.config.own and len(self.train) > 1 else []
        recorded = capture_stage(
            self.train, self.tasks, self.config, answer_tokens=self.answer_tokens
        )
        share = EXTRACT_SHARE + OWN_SHARE * len(own) + (CONTROL_SHARE if controls else 0)
        folders = ["veneer", *(f"veneer-{t}" for t in own), *(["control"] if controls else [])]
        learned = [Stage("baselines", share=CONTROL_SHARE * len(baselines) * recorded.work)]
        return (
            Stage("load"),
            recorded,
            extract_stage(recorded, folders, share=share),
            *(learned if baselines else ()),
            *self.answer_stages(("base", "veneer", "aligned", *controls, *baselines)),
        )

    @property
    def train(self) -> dict[str, list[Prompt]]:
        return self.learnt.by_task

    def measure(self, run: Run) -> Iterator[Measurement]:
        judges = run.judges(self.tasks, self.config.judges)
        pair = self.load_pair(run)
        prompts = self.learnt.prompts
        run.note(train_prompts_left_out=self.learnt.facts())
        with run.stage("capture"):
            trained = [t for t in self.tasks if t.name in self.train]
            config = self.config.capture_config(trained)
            capture = self.capture_with(pair, prompts, run.out / "capture", config, run.progress)
        self.answer_tokens = capture.tokens / len(capture.prompt_numbers)
        for stage in self.stages():
            run.revise(stage)
        with run.stage("extract"):
            veneer = self._extract(run, pair, capture, "veneer")
        with run.stage("held-out"):
            held_out, rows = joint_rows(capture, veneer, self.extraction, device=pair.base.device)
            yield from rows
            write_tables(held_out, capture, run.out)
        yield from self._own_rows(run, pair, capture)
        systems: list[System] = []
        if self.config.controls:
            with run.stage("extract control"):
                shuffled = self._extract(run, pair, capture, "control", shuffled=True)
                yield from control_rows(capture, shuffled, self.extraction, device=pair.base.device)
            systems += control_systems(pair, shuffled)
        systems += self.baseline_systems(run, pair, capture, veneer)
        with run.stage("held-out"):
            yield from position_system_rows(capture, pair, systems, prompts, seed=self.config.seed)
        answers = self.answer_rows(run, judges, pair, veneer, systems)
        yield from _with_left_out(answers, self.learnt)

    def _own_rows(self, run: Run, pair: Pair, capture: Capture) -> Iterator[Measurement]:
        """The held-out rows of each task's own veneer, where there are several tasks."""
        if not self.config.own or len(self.train) == 1:
            return
        with run.stage("extract own"):
            for task in self.train:
                own = self._extract(run, pair, capture, f"veneer-{task}", tasks=(task,))
                yield from own_rows(capture, own, task, self.extraction, device=pair.base.device)

    def _extract(
        self, run: Run, pair: Pair, capture: Capture, folder: str, **changes: Any
    ) -> Veneer:
        """A veneer in a folder of its own. changes: settings that differ from `extraction`."""
        return extract_to(
            capture,
            replace(self.extraction, **changes),
            run.out / folder,
            device=pair.base.device,
            log=solver_progress(run.progress),
        )


class MeasureStudy(TaskStudy):
    """The answers of systems around an existing veneer. See `measure` for the arguments."""

    def __init__(
        self,
        load: Callable[[], Pair],
        tasks: Sequence[Task],
        config: StudyConfig,
        settings: dict[str, Any],
        veneer: Veneer,
        beginning: Beginning | None = None,
    ):
        super().__init__(load, tasks, config, settings, "measure")
        self.veneer = veneer
        self.beginning = beginning or Beginning()

    def check(self) -> None:
        super().check()
        choices = [t.name for t in self.tasks if t.kind == "choice"]
        if choices and self.beginning.text is not None:
            raise InputError(
                f"found a forced beginning of answers beside {', '.join(choices)}, which compares "
                "the likelihoods of given answers; leave one of them out"
            )
        self.test = {name: self.beginning.of(prompts) for name, prompts in self.test.items()}
        self.baselines = parse_baselines(self.config.baselines, [])
        if learned := [word_for(b) for b in self.baselines if needs_capture(b)]:
            raise InputError(
                f"{', '.join(learned)} is made from a capture, which `veneer measure` has not; use "
                "`veneer run`"
            )

    def stages(self) -> tuple[Stage, ...]:
        controls = CONTROLS if self.config.controls else ()
        systems = ("base", "veneer", "aligned", *controls, *(b.name for b in self.baselines))
        return (Stage("load"), *self.answer_stages(systems))

    def measure(self, run: Run) -> Iterator[Measurement]:
        judges = run.judges(self.tasks, self.config.judges)
        pair = self.load_pair(run, self.veneer)
        tokenizer = pair.base.tokenizer
        self.test = {n: self.beginning.cut(ps, tokenizer) for n, ps in self.test.items()}
        systems = control_systems(pair, None) if self.config.controls else []
        systems += self.baseline_systems(run, pair, None, self.veneer)
        forced = self.beginning.facts()
        for row in self.answer_rows(run, judges, pair, self.veneer, systems):
            if not forced:
                yield row
                continue
            note = join_notes(row.note, words.forced_note(forced))
            yield replace(row, facts={**(row.facts or {}), **forced}, note=note)


def _checked(prompts: TrainPrompts, tasks: Sequence[Task]) -> TrainPrompts:
    """Raise InputError where a task has too few train prompts, or no task has any."""
    for task in tasks:
        count = len(prompts.by_task.get(task.name, ()))
        lost = sum(n for (t, _), n in prompts.tested.items() if t == task.name)
        lost += prompts.repeated.get(task.name, 0)
        if count + lost and count < LEAST_TRAIN:
            left_out = (
                f", beside {lost} that are test prompts or repeat another one" if lost else ""
            )
            raise InputError(
                f"found {count} train prompts of {task.name}{left_out}; expected at least "
                f"{LEAST_TRAIN} (train, select, report): give more --train prompts, and a larger "
                "--limit where it is given"
            )
    if not prompts.by_task:
        raise InputError(
            f"found no train prompts of {', '.join(t.name for t in tasks)}; expected some to "
            "extract a veneer from: add a task that has them (make_task(..., train=...) in "
            "Python), or give a veneer to `veneer measure`"
        )
    return prompts


def _with_left_out(rows: Iterable[Measurement], learnt: TrainPrompts) -> Iterator[Measurement]:
    """Rows of a task's answers, with the number of train prompts of each task that are left out
    because this task tests on them."""
    for row in rows:
        left_out = learnt.left_out_for(row.task)
        yield (
            replace(row, facts={**(row.facts or {}), "left_out_of_train": left_out})
            if left_out
            else row
        )


def _learnable(train: dict[str, list[Prompt]], config: StudyConfig) -> list[SystemId]:
    """The baselines, none learning from more answers than the train part has: a LoRA that `all`
    brings learns from as many as there are. Raises InputError for a larger number that a person
    wrote."""
    prompts = [p for own in train.values() for p in own]
    groups = [task for task, own in train.items() for _ in own]
    clusters = prompt_clusters(prompts)
    most = len(Split.by_prompt(range(len(groups)), groups, config.seed, clusters).train)
    written = words_of(config.baselines)
    baselines = []
    for baseline in parse_baselines(config.baselines, list(train)):
        if baseline.kind == "lora" and baseline.get("answers") > most:
            if word_for(baseline) in written:
                raise InputError(
                    f"{word_for(baseline)} learns from more answers than the {most} of the train "
                    f"part; give more --train prompts, or lora-{most}"
                )
            baseline = SystemId.of("lora", answers=most)
        baselines.append(baseline)
    return list(dict.fromkeys(baselines))
