"""Transfer: a large base with a small base's veneer, beside what it would be compared with
(docs/transfer.md)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from veneer.capture import Capture, CaptureConfig, capture
from veneer.foundation.errors import InputError
from veneer.foundation.files import folder_lock
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement, Results
from veneer.foundation.run_record import RunRecord
from veneer.head.veneer import Veneer
from veneer.judges.judge import Judge
from veneer.judges.registry import judges_of
from veneer.measures.answers import answer_all
from veneer.measures.extraction import extract_to, solver_progress
from veneer.measures.held_out import HeldOut, held_out
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.report import write_report
from veneer.studies.transfer.bake import bake
from veneer.studies.transfer.choice import Choice, choose_by_kl, choose_by_score
from veneer.studies.transfer.config import SHIFTED, TransferConfig
from veneer.studies.transfer.cost import cost_rows, measure_costs
from veneer.studies.transfer.kl import ShiftedReading, baked_rows, distance_rows
from veneer.studies.transfer.models import TransferModels
from veneer.studies.transfer.prompts import UNKNOWN, TransferPrompts, fairness, held_out_for
from veneer.studies.transfer.systems import TransferSystems
from veneer.tasks.task import Task


def transfer(
    load: Callable[[], TransferModels],
    tasks: Sequence[Task],
    out: str | Path,
    config: TransferConfig | None = None,
    *,
    at_hand: Sequence[str] = ("large_aligned", "small_aligned"),
    veneer: Veneer | None = None,
    said: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Measure a transfer on tasks and write the study folder.

    load: gives the models; not called where the folder is finished. at_hand: which aligned models
    it will give. veneer: the small base's, where it is there already; without one it is extracted
    from small_aligned. said: more of the configuration for run.json, which a second run must share.
    Raises InputError for what cannot be, before anything is written.
    """
    config, out = config or TransferConfig(), Path(out)
    aligned, small_aligned = (name in at_hand for name in ("large_aligned", "small_aligned"))
    chosen = _check(tasks, config, aligned=aligned, small_aligned=small_aligned, veneer=veneer)
    needs = [
        what
        for what, wanted in (
            ("extracting the small veneer", veneer is None),
            ("--own", config.own),
            ("--bake", config.bake),
        )
        if wanted
    ]
    prompts = TransferPrompts.of_tasks(
        tasks,
        config.study.train_prompts,
        config.study.test_prompts,
        seed=config.study.seed,
        learns=" and ".join(needs) or None,
    )
    settings = {
        **(said or {}),
        "veneer": None if veneer is None else veneer.identity(),
        "tasks": [t.name for t in tasks],
        "settings": config.facts(),
    }
    with folder_lock(out):
        record = RunRecord(out, "transfer", settings)
        if record.finished:
            return Results.read(out / "results.jsonl")
        with record.stage("load"):
            models = load().dated(record.day)
        record.note(
            pair=models.facts(),
            data={t.name: t.source() for t in tasks},
            seeds={"study": config.study.seed},
            dropped_train_prompts=prompts.dropped,
        )
        judges, missing = judges_of(
            tasks, replace(config.study.judges, cache=config.study.judges.cache or out / "judge")
        )
        ids = sorted({judge.id for some in judges.values() for judge in some})
        record.note(judges=ids, judges_missing=missing)
        for name, why in missing.items():
            logging.getLogger("veneer").warning("veneer: the judge %s is left out: %s", name, why)
        work = _Transfer(tasks, prompts, models, judges, out, config, record, progress)
        return work.run(chosen, veneer)


def _check(
    tasks: Sequence[Task],
    config: TransferConfig,
    *,
    aligned: bool,
    small_aligned: bool,
    veneer: Veneer | None,
) -> list[str]:
    """The systems to measure; what cannot be is refused."""
    if not tasks:
        raise InputError("there is no task to measure; give at least one with --tasks")
    if choices := [t.name for t in tasks if t.kind == "choice"]:
        raise InputError(
            f"{choices[0]} compares likelihoods, which a shifted system does not give; leave it out"
        )
    if config.own and not aligned:
        raise InputError(
            "--own extracts the large model's own veneer from its aligned version; give "
            "--large-aligned too"
        )
    if veneer is None and not small_aligned:
        raise InputError(
            "there is no veneer to transfer; give the small base's --veneer, or its --aligned "
            "model to extract one"
        )
    judges_of(tasks, config.study.judges)
    return config.chosen(config.names(aligned=aligned, small_aligned=small_aligned))


@dataclass
class _Transfer:
    """What all stages share."""

    tasks: Sequence[Task]
    prompts: TransferPrompts
    models: TransferModels
    judges: Mapping[str, list[Judge]]
    out: Path
    config: TransferConfig
    record: RunRecord
    progress: Progress | None

    def run(self, chosen: Sequence[str], veneer: Veneer | None) -> Results:
        given = veneer is not None
        veneer = veneer or self._extracted("small", self.models.small_pair, "small-veneer")
        large, own = self._large_capture(), None
        if self.config.own:
            own = self._extracted("large", self.models.large_pair, "veneer")
        systems = TransferSystems(self.models, veneer)
        results = Results()
        choice, rows = self._choice(systems, large)
        results.extend(rows)
        baked = None
        if self.config.bake:
            baked = self._baked(systems, choice)
            results.extend(baked_rows(Results.read(self.out / "baked" / "results.jsonl")))
        held_out = held_out_for(veneer, large, self.config.study.seed) if given else None
        self.record.note(
            choice=None if choice is None else choice.facts(),
            fairness=fairness(self.prompts, self.config, held_out=held_out),
        )
        if large is not None and self.prompts.split is not None:
            with self.record.stage("held-out"):
                results.extend(
                    self._distances(
                        systems, large, own, baked, UNKNOWN if held_out is False else None
                    )
                )
        measured = [systems.named(name, self.config, own, baked) for name in chosen]
        if self.config.rounds:
            with self.record.stage("timing"):
                results.extend(self._costs(systems, choice, own, baked))
        self._answers(measured, results)
        results.write(self.out / "results.jsonl")
        with self.record.stage("report"):
            write_report([self.out], self.out / "report.html")
        self.record.finish()
        write_report([self.out], self.out / "report.html")  # once more, with all its seconds
        return results

    def _capture_config(self) -> CaptureConfig:
        return self.config.study.capture_config([t for t in self.tasks if t.kind == "generate"])

    def _extracted(self, name: str, pair: Pair | None, folder: str) -> Veneer:
        """The veneer of a pair, from a capture of all train prompts."""
        assert pair is not None
        with self.record.stage(f"capture {name}"):
            taken = capture(
                pair,
                self.prompts.train,
                self.out / f"{name}-capture",
                self._capture_config(),
                self.progress,
            )
        how = replace(self.config.study.extraction, seed=self.config.study.seed)
        with self.record.stage(f"extract {name}"):
            return extract_to(
                taken,
                how,
                self.out / folder,
                device=pair.base.device,
                log=solver_progress(self.progress),
            )

    def _large_capture(self) -> Capture | None:
        """The large aligned model's answers to the train prompts; where no veneer is to be
        extracted from them, only to those that distances are measured on."""
        pair = self.models.large_pair
        if pair is None or self.prompts.split is None:
            return None
        with self.record.stage("capture large"):
            return capture(
                pair,
                self._large_prompts(),
                self.out / "large-capture",
                self._capture_config(),
                self.progress,
            )

    def _large_prompts(self) -> list[Prompt]:
        return (
            self.prompts.train
            if self.config.own
            else [*self.prompts.part("select"), *self.prompts.part("report")]
        )

    def _reading(
        self, systems: TransferSystems, large: Capture, part: str
    ) -> tuple[ShiftedReading, list[int]]:
        numbers = self.prompts.numbers(large, part)
        return ShiftedReading(
            large, self.models, systems.veneer, self._large_prompts(), numbers
        ), numbers

    def _choice(
        self, systems: TransferSystems, large: Capture | None
    ) -> tuple[Choice | None, list[Measurement]]:
        """Which alpha leads and is baked; without the large aligned model only where one
        has to be baked."""
        with self.record.stage("choose alpha"):
            if large is not None:
                reading, numbers = self._reading(systems, large, "select")
                tables = {f"{SHIFTED}{a}": reading.held_out(a, numbers) for a in self.config.alphas}
                return choose_by_kl(tables)
            if not self.config.bake:
                return None, []
            return choose_by_score(
                [systems.shifted(a) for a in self.config.alphas],
                self.tasks,
                self.prompts.part("select"),
                self.judges,
                self.out / "choice",
                self.config.study,
                self.progress,
            )

    def _baked(self, systems: TransferSystems, choice: Choice | None) -> Veneer:
        assert choice is not None
        alpha = next(a for a in self.config.alphas if f"{SHIFTED}{a}" == choice.system)
        with self.record.stage("bake"):
            return bake(
                self.models.large,
                systems.shifted(alpha),
                self.prompts.train,
                self.out / "baked",
                config=self._capture_config(),
                extract=replace(self.config.study.extraction, seed=self.config.study.seed),
                progress=self.progress,
            )

    def _distances(
        self,
        systems: TransferSystems,
        large: Capture,
        own: Veneer | None,
        baked: Veneer | None,
        note: str | None,
    ) -> list[Measurement]:
        reading, numbers = self._reading(systems, large, "report")
        tables: list[tuple[str, Callable[[], HeldOut]]] = [
            (f"{SHIFTED}{a}", partial(reading.held_out, a, numbers)) for a in self.config.alphas
        ]
        device = self.models.large.device
        for name, veneer in (("baked", baked), ("veneer", own)):
            if veneer is not None:
                tables.append((name, partial(held_out, large, veneer, numbers, device=device)))
        return list(distance_rows(large, tables, seed=self.config.study.seed, note=note))

    def _costs(
        self,
        systems: TransferSystems,
        choice: Choice | None,
        own: Veneer | None,
        baked: Veneer | None,
    ) -> list[Measurement]:
        """One shifted system of a constant alpha and one that fades: their cost does not
        depend on the number."""
        fades = {f"{SHIFTED}{a}": a.constant is None for a in self.config.alphas}
        wanted = [choice.system, *fades] if choice else list(fades)
        kinds = [next((s for s in wanted if fades[s] == fading), None) for fading in (False, True)]
        names = ["base", *(s for s in kinds if s is not None)]
        names += [
            n
            for n, there in (
                ("baked", baked),
                ("veneer", own),
                ("aligned", self.models.large_aligned),
            )
            if there is not None
        ]
        timed = [systems.named(n, self.config, own, baked) for n in [*names, "small-base"]]
        prompts = [p for t in self.tasks for p in self.prompts.test[t.name]]
        return list(
            cost_rows(
                measure_costs(
                    timed, prompts, self.config.rounds, self.out / "timing.json", self.progress
                )
            )
        )

    def _answers(self, measured: Sequence, results: Results) -> None:
        self.record.note(systems=[s.facts() for s in measured])
        rows, _ = answer_all(
            measured,
            self.tasks,
            self.prompts.test,
            self.judges,
            self.out,
            self.config.study,
            self.record,
            self.progress,
        )
        results.extend(rows)
