"""Task complexity: how many bytes base needs to reach a score (docs/complexity.md)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from veneer.capture import Capture, capture
from veneer.foundation.errors import InputError
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement, Results
from veneer.foundation.stages import Stage
from veneer.head.events import solver_progress
from veneer.head.extract import split_of
from veneer.head.veneer import Veneer
from veneer.judges.registry import check_judges
from veneer.measures.answers import answer_all
from veneer.measures.beside import BESIDE
from veneer.measures.extraction import extract_to
from veneer.measures.kl import kl_rows
from veneer.measures.positions import kl_of_system
from veneer.measures.stages import answer_stage, capture_stage, extract_stage
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.studies.complexity.making import Making
from veneer.studies.complexity.names import STUDY
from veneer.studies.complexity.program.files import decoder_bits
from veneer.studies.complexity.programs import Program, Workshop, read_list, write_list
from veneer.studies.complexity.rows import (
    bit_rows,
    by_definition,
    complexity_rows,
    empty_rows,
)
from veneer.studies.complexity.settings import ComplexityConfig, ProgramSettings
from veneer.studies.complexity.words import left_out
from veneer.studies.runner import run_study
from veneer.studies.study import Run
from veneer.systems.system import System, pair_systems
from veneer.tasks.task import Task

LEAST_TRAIN = 3  # prompts: one each to train, select and report


def complexity(
    load: Callable[[], Pair],
    tasks: Sequence[Task],
    out: str | Path,
    programs: ProgramSettings | None = None,
    config: ComplexityConfig | None = None,
    *,
    settings: dict[str, Any] | None = None,
    progress: Progress | bool | None = None,
) -> Results:
    """Measure the bits of programs that turn base into something like the aligned model, and write
    the study folder `out`.

    load: gives the pair; not called where the folder is finished. settings: more of what a second
    run must share, for run.json. Raises InputError where base is no float32 checkpoint on a CPU,
    where no task has train prompts, and where `out` holds another configuration.
    """
    study = ComplexityStudy(
        load, tasks, programs or ProgramSettings(), config or ComplexityConfig(), settings or {}
    )
    return run_study(study, out, progress=progress)


class ComplexityStudy:
    """Programs of several views, decoded in fresh processes and measured. See `complexity`."""

    name = STUDY

    def __init__(
        self,
        load: Callable[[], Pair],
        tasks: Sequence[Task],
        programs: ProgramSettings,
        config: ComplexityConfig,
        settings: dict[str, Any],
    ):
        self.load, self.tasks, self.config = load, tasks, config
        self.programs, self.more_settings = programs, settings
        self.train: dict[str, list[Prompt]] = {}
        self.test: dict[str, list[Prompt]] = {}

    def settings(self) -> dict[str, Any]:
        return {
            **self.more_settings,
            "tasks": [t.name for t in self.tasks],
            "settings": self.config.facts(),
            "programs": asdict(self.programs),
        }

    def check(self) -> None:
        if not self.tasks:
            raise InputError("there is no task to measure; give at least one with --tasks")
        if other := [t.name for t in self.tasks if t.kind != "generate"]:
            raise InputError(
                f"{', '.join(other)} is answered by a choice, but programs are measured on answers "
                "in words; leave it out of --tasks"
            )
        check_judges(self.tasks, self.config.judges)
        self.test = {t.name: t.prompts("test")[: self.config.test_prompts] for t in self.tasks}
        # what stands beside for over-refusal is measured alone
        fitted = [t for t in self.tasks if t.name not in self._beside()]
        every = {t.name: t.prompts("train")[: self.config.train_prompts] for t in fitted}
        self.train = {name: prompts for name, prompts in every.items() if prompts}
        count = sum(map(len, self.train.values()))
        if count < LEAST_TRAIN:
            raise InputError(
                f"{', '.join(every)} have {count} train prompts; expected at least {LEAST_TRAIN} "
                "(train, select, report): add a task that has them, or raise --train, and "
                "--limit where it is given"
            )

    def _beside(self) -> set[str]:
        names = {t.name for t in self.tasks}
        return {over for name, over in BESIDE.items() if name in names and over in names}

    def stages(self) -> tuple[Stage, ...]:
        recorded = capture_stage(self.train, self.tasks, self.config)
        measured = answer_stage(self.tasks, self.test, ("base", "veneer", "aligned"), self.config)
        return (
            Stage("load"),
            recorded,
            extract_stage(recorded, ["veneer"]),
            Stage("programs", unknown=True, writes=("programs/",)),
            measured,
        )

    def measure(self, run: Run) -> Iterator[Measurement]:
        judges = run.judges(self.tasks, self.config.judges)
        with run.stage("load"):
            pair = self.load().dated(run.day)
            workshop = Workshop(run.out, pair.base)
        run.note(
            pair=pair.facts(),
            data={t.name: t.source() for t in self.tasks},
            seeds={"study": self.config.seed},
        )
        prompts = [p for own in self.train.values() for p in own]
        extraction = replace(self.config.extraction, seed=self.config.seed)
        with run.stage("capture"):
            trained = [t for t in self.tasks if t.name in self.train]
            recorded = capture(
                pair,
                prompts,
                run.out / "capture",
                self.config.capture_config(trained),
                progress=run.progress,
            )
        with run.stage("extract"):
            veneer = extract_to(
                recorded, extraction, run.out / "veneer", log=solver_progress(run.progress)
            )
        programs = self._programs(run, workshop, pair, recorded, veneer, prompts, extraction)
        run.identify(*(p.identity for p in programs))
        for program in programs:
            yield from bit_rows(program, workshop.bits(program))
        yield from empty_rows("base", "base")
        if "aligned" in self.programs.given:
            yield from empty_rows("aligned", "aligned")
        with run.stage("build systems"):
            systems = [workshop.system(p, pair) for p in programs]
        main = pair_systems(pair, veneer)
        names = [s.name for s in (*main, *systems)]
        length = recorded.tokens / len(recorded.prompt_numbers)
        run.revise(answer_stage(self.tasks, self.test, names, self.config, length))
        with run.stage("held-out"):
            distances = list(self._distances(recorded, [*main[:2], *systems], prompts, pair))
            yield from distances
        rows = answer_all(
            [*main, *systems],
            self.tasks,
            self.test,
            judges,
            run.out,
            self.config,
            run.record,
            run.progress,
        ).rows
        run.note_judge_usage(judges)
        yield from rows
        bits = {p.name: workshop.bits(p) + decoder_bits(p.kind) for p in programs} | {"base": 0}
        measured = [*distances, *rows]
        yield from complexity_rows(programs, bits, measured, self.tasks, self.programs.levels)

    def _programs(
        self,
        run: Run,
        workshop: Workshop,
        pair: Pair,
        recorded: Capture,
        veneer: Veneer,
        prompts: Sequence[Prompt],
        extraction: Any,
    ) -> list[Program]:
        """The programs of every view; those of an interrupted run are read."""
        kept = read_list(run.out, workshop)
        if kept is not None:
            return kept[0]
        making = Making(
            workshop,
            pair,
            recorded,
            veneer,
            prompts,
            run.out,
            extraction,
            self.programs,
            self._longest_exchange(pair),
            run.progress,
        )
        programs: list[Program] = []
        views: dict[str, Callable[[], list[Program]]] = {
            "head": making.head,
            "text": making.text,
            "lora": making.lora,
            "data": making.data,
        }
        chosen = {v: make for v, make in views.items() if v in self.programs.programs}
        if self.config.controls and "head" in chosen:
            chosen["controls"] = making.controls
        for view, make in chosen.items():
            with run.stage(f"programs {view}"):
                programs += make()
        for facts in making.left_out:
            logging.getLogger("veneer").warning("veneer: left out: %s", left_out(facts))
        run.note(programs_tried=making.tried, programs_left_out=making.left_out)
        write_list(run.out, programs, making.tried, pair.base)
        return programs

    def _longest_exchange(self, pair: Pair) -> int:
        """Tokens of the longest prompt in base's format and of the longest answer."""
        answer = max(self.config.sampling(t).max_new_tokens for t in self.tasks)
        every = [p for own in (*self.test.values(), *self.train.values()) for p in own]
        encode, tokenizer = pair.base_format.encode, pair.base.tokenizer
        return answer + max(len(encode(tokenizer, p)) for p in every)

    def _distances(
        self, recorded: Capture, systems: Sequence[System], prompts: Sequence[Prompt], pair: Pair
    ) -> Iterator[Measurement]:
        """KL of every system, and the share of base's KL that it recovers, on the report part."""
        report = split_of(recorded, self.config.seed).report
        for system in systems:
            table = kl_of_system(recorded, system, prompts, pair, report)
            for row in kl_rows(
                table,
                system=system.name,
                with_base=system.name == "base",
                seed=self.config.seed,
            ):
                if row.metric == "top1_agreement":
                    continue
                exact = system.name == "base" and row.metric == "kl_recovered"
                yield replace(row, study=STUDY, **(by_definition(row) if exact else {}))
