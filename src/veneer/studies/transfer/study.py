"""Transfer: a large base with a small base's veneer, beside what it would be compared with
(docs/transfer.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from veneer.capture import Capture, CaptureConfig, capture
from veneer.foundation.errors import InputError
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement, Results
from veneer.foundation.stages import Stage
from veneer.foundation.system_id import SystemId
from veneer.head.events import solver_progress
from veneer.head.veneer import Veneer
from veneer.judges.judge import Judge
from veneer.judges.registry import check_judges
from veneer.measures.answers import answer_all
from veneer.measures.discernment import measure_discernment
from veneer.measures.extraction import extract_to
from veneer.measures.held_out import HeldOut, held_out
from veneer.measures.stages import answer_stage, capture_stage, extract_stage, first_batch
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.studies.runner import run_study
from veneer.studies.study import Run
from veneer.studies.transfer.bake import bake
from veneer.studies.transfer.choice import Choice, choose_by_kl, choose_by_score
from veneer.studies.transfer.cost import cost_rows, measure_costs
from veneer.studies.transfer.kl import ShiftedReading, baked_rows, distance_rows
from veneer.studies.transfer.models import TransferModels
from veneer.studies.transfer.names import STUDY, shifted_system
from veneer.studies.transfer.prompts import TransferPrompts, fairness, report_part
from veneer.studies.transfer.settings import TransferSettings
from veneer.studies.transfer.systems import TransferSystems
from veneer.tasks.task import Task


def transfer(
    load: Callable[[], TransferModels],
    tasks: Sequence[Task],
    out: str | Path,
    method: TransferSettings | None = None,
    *,
    aligned_models: Sequence[str] = ("large_aligned", "small_aligned"),
    veneer: Veneer | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Measure a transfer on tasks and write the study folder `out`.

    load: gives the models; not called where the folder is finished. aligned_models: those that it
    will give. veneer: the small base's; without one it is extracted from small_aligned. settings:
    more of the settings for run.json, which a second run must share. Raises InputError for models,
    tasks or settings that do not fit together, before anything is written.
    """
    study = TransferStudy(
        load, tasks, method or TransferSettings(), aligned_models, veneer, settings
    )
    return run_study(study, out, progress=progress)


class TransferStudy:
    """What a small base's veneer does to a large base. See `transfer` for the arguments."""

    name = STUDY

    def __init__(
        self,
        load: Callable[[], TransferModels],
        tasks: Sequence[Task],
        method: TransferSettings,
        aligned_models: Sequence[str],
        veneer: Veneer | None = None,
        settings: Mapping[str, Any] | None = None,
    ):
        self.load = load
        self.tasks = tasks
        self.method = method
        self.aligned_models = aligned_models
        self.veneer = veneer
        self.more_settings = dict(settings or {})

    def settings(self) -> dict[str, Any]:
        return {
            **self.more_settings,
            "veneer": None if self.veneer is None else self.veneer.identity(),
            "tasks": [t.name for t in self.tasks],
            "settings": self.method.facts(),
        }

    def check(self) -> None:
        method, study = self.method, self.method.study
        if not self.tasks:
            raise InputError("there is no task to measure; give at least one with --tasks")
        if choices := [t.name for t in self.tasks if t.kind == "choice"]:
            raise InputError(
                f"{choices[0]} compares likelihoods, which a shifted system does not give; leave "
                "it out"
            )
        aligned, small_aligned = (
            name in self.aligned_models for name in ("large_aligned", "small_aligned")
        )
        if method.own and not aligned:
            raise InputError(
                "--own extracts the large model's own veneer from its aligned version; give "
                "--large-aligned too"
            )
        if self.veneer is None and not small_aligned:
            raise InputError(
                "there is no veneer to transfer; give the small base's --veneer, or its --aligned "
                "model to extract one"
            )
        check_judges(self.tasks, study.judges)
        self.measured = method.chosen(method.names(aligned=aligned, small_aligned=small_aligned))
        learns = [
            what
            for what, needed in (
                ("extracting the small veneer", self.veneer is None),
                ("--own", method.own),
                ("--bake", method.bake),
            )
            if needed
        ]
        self.prompts = TransferPrompts.of_tasks(
            self.tasks,
            study.train_prompts,
            study.test_prompts,
            seed=study.seed,
            learns=" and ".join(learns) or None,
        )

    def stages(self) -> tuple[Stage, ...]:
        method, study, tasks = self.method, self.method.study, self.tasks
        train: dict[str, list[Prompt]] = {}
        for prompt in self.prompts.train:
            train.setdefault(prompt.task, []).append(prompt)
        stages = [Stage("load")]
        if self.veneer is None:
            small = capture_stage(train, tasks, study, "capture small", "small-capture")
            stages += [small, extract_stage(small, ["small-veneer"], "extract small")]
        if "large_aligned" in self.aligned_models and self.prompts.split is not None:
            large = capture_stage(train, tasks, study, "capture large", "large-capture")
            stages.append(large)
            if method.own:
                stages.append(extract_stage(large, ["veneer"], "extract large"))
        stages.append(Stage("choose alpha"))
        if method.bake:
            stages.append(Stage("bake", unknown=True, writes=("baked/",)))
        stages += [Stage("timing")] if method.rounds else []
        answers = answer_stage(tasks, self.prompts.test, self.measured, study)
        return (*stages, answers, Stage("discernment"))

    def measure(self, run: Run) -> Iterator[Measurement]:
        with run.stage("load"):
            models = self.load().dated(run.day)
            batch = first_batch(self.prompts.test, self.method.study.batch_size)
            run.expect(models.large, models.large_format, batch)
        run.note(
            pair=models.facts(),
            data={t.name: t.source() for t in self.tasks},
            seeds={"study": self.method.study.seed},
            dropped_train_prompts=self.prompts.dropped,
        )
        judges = run.judges(self.tasks, self.method.study.judges)
        run.identify(*self._identities())
        veneer = self.veneer
        if veneer is None:
            veneer = self._extracted("small", models.small_pair, "small-veneer", run)
        large = self._large_capture(models, run)
        systems = TransferSystems(models, veneer, self.method.shifts)
        if self.method.own:
            systems.own = self._extracted("large", models.large_pair, "veneer", run)
        choice, rows = self._choice(systems, large, judges, run)
        yield from rows
        if self.method.bake:
            systems.baked = self._baked(systems, choice, run)
            yield from baked_rows(Results.read(run.out / "baked" / "results.jsonl"))
        seen = report_part(self.veneer, large, self.method.study.seed)
        run.note(
            choice=None if choice is None else choice.facts(),
            fairness=fairness(self.prompts, self.method, seen),
        )
        if large is not None and self.prompts.split is not None:
            with run.stage("held-out"):
                rows = self._distances(systems, large, seen)
            yield from rows
        measured = [systems.named(name) for name in self.measured]
        if self.method.rounds:
            with run.stage("timing"):
                rows = self._costs(systems, choice, run)
            yield from rows
        run.note(systems=[s.facts() for s in measured])
        answers = answer_all(
            measured,
            self.tasks,
            self.prompts.test,
            judges,
            run.out,
            self.method.study,
            run.record,
            run.progress,
        )
        yield from answers.rows
        seed = self.method.study.seed
        yield from measure_discernment(
            measured, self.tasks, answers.answered, run.out, run.record, seed=seed
        )

    def _identities(self) -> list[SystemId]:
        return [shifted_system(alpha) for alpha in self.method.shifts.values()]

    def _capture_config(self) -> CaptureConfig:
        return self.method.study.capture_config([t for t in self.tasks if t.kind == "generate"])

    def _extracted(self, name: str, pair: Pair | None, folder: str, run: Run) -> Veneer:
        """The veneer of a pair, from a capture of all train prompts."""
        assert pair is not None
        with run.stage(f"capture {name}"):
            recorded = capture(
                pair,
                self.prompts.train,
                run.out / f"{name}-capture",
                self._capture_config(),
                run.progress,
            )
        study = self.method.study
        with run.stage(f"extract {name}"):
            return extract_to(
                recorded,
                replace(study.extraction, seed=study.seed),
                run.out / folder,
                device=pair.base.device,
                log=solver_progress(run.progress),
            )

    def _large_capture(self, models: TransferModels, run: Run) -> Capture | None:
        """The large aligned model's answers to the train prompts; where no veneer is to be
        extracted from them, only to those that distances are measured on."""
        pair = models.large_pair
        if pair is None or self.prompts.split is None:
            return None
        with run.stage("capture large"):
            return capture(
                pair,
                self._large_prompts(),
                run.out / "large-capture",
                self._capture_config(),
                run.progress,
            )

    def _large_prompts(self) -> list[Prompt]:
        if self.method.own:
            return self.prompts.train
        return [*self.prompts.of_split("select"), *self.prompts.of_split("report")]

    def _reading(
        self, systems: TransferSystems, large: Capture, split: str
    ) -> tuple[ShiftedReading, list[int]]:
        """The shifted systems on a split of the large capture, and the numbers of its prompts."""
        numbers = self.prompts.numbers(large, split)
        prompts = self._large_prompts()
        return ShiftedReading(large, systems.models, systems.veneer, prompts, numbers), numbers

    def _choice(
        self,
        systems: TransferSystems,
        large: Capture | None,
        judges: Mapping[str, list[Judge]],
        run: Run,
    ) -> tuple[Choice | None, list[Measurement]]:
        """Which alpha leads and is baked; without the large aligned model only where one has to be
        baked."""
        with run.stage("choose alpha"):
            if large is not None:
                reading, numbers = self._reading(systems, large, "select")
                shifts = systems.shifts.items()
                return choose_by_kl({s: reading.held_out(a, numbers) for s, a in shifts})
            if not self.method.bake:
                return None, []
            return choose_by_score(
                [systems.shifted(a) for a in systems.shifts.values()],
                self.tasks,
                self.prompts.of_split("select"),
                judges,
                run.out / "choice",
                self.method.study,
                run.progress,
            )

    def _baked(self, systems: TransferSystems, choice: Choice | None, run: Run) -> Veneer:
        assert choice is not None
        study = self.method.study
        with run.stage("bake"):
            return bake(
                systems.models.large,
                systems.shifted(systems.shifts[choice.system]),
                self.prompts.train,
                run.out / "baked",
                config=self._capture_config(),
                extract=replace(study.extraction, seed=study.seed),
                progress=run.progress,
            )

    def _distances(self, systems: TransferSystems, large: Capture, seen: str) -> list[Measurement]:
        """Distances from the large aligned model on the report part. seen: of `report_part`."""
        reading, numbers = self._reading(systems, large, "report")
        tables: list[tuple[str, Callable[[], HeldOut]]] = [
            (name, partial(reading.held_out, alpha, numbers))
            for name, alpha in systems.shifts.items()
        ]
        device = systems.models.large.device
        for name, veneer in (("baked", systems.baked), ("veneer", systems.own)):
            if veneer is not None:
                tables.append((name, partial(held_out, large, veneer, numbers, device=device)))
        facts = {"report_part": seen} if seen == "unknown" else None
        return list(distance_rows(large, tables, seed=self.method.study.seed, facts=facts))

    def _costs(
        self, systems: TransferSystems, choice: Choice | None, run: Run
    ) -> list[Measurement]:
        """One shifted system of a constant alpha and one that fades: their cost does not depend on
        the number."""
        fades = {name: alpha.constant is None for name, alpha in systems.shifts.items()}
        candidates = [choice.system, *fades] if choice else list(fades)
        kinds = [
            next((s for s in candidates if fades[s] == fading), None) for fading in (False, True)
        ]
        others = {
            "baked": systems.baked,
            "veneer": systems.own,
            "aligned": systems.models.large_aligned,
        }
        names = ["base", *(s for s in kinds if s is not None)]
        names += [name for name, model in others.items() if model is not None]
        costs = measure_costs(
            [systems.named(name) for name in (*names, "small-base")],
            [p for t in self.tasks for p in self.prompts.test[t.name]],
            self.method.rounds,
            run.out / "timing.json",
            run.progress,
        )
        return list(cost_rows(costs))
