"""Base, veneer and aligned on tasks of lm-evaluation-harness, in the rows of every study."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from veneer.adapters.lm_eval_rows import chosen_lm_eval_tasks, evaluate_with_lm_eval
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement, Results
from veneer.foundation.stages import Stage
from veneer.head.veneer import Veneer
from veneer.models.pair import Pair
from veneer.studies.lm_eval.settings import LmEvalSettings
from veneer.studies.runner import run_study
from veneer.studies.study import Run
from veneer.systems.system import System, pair_systems


def lm_eval(
    load: Callable[[], Pair],
    tasks: Sequence[str],
    out: str | Path,
    config: LmEvalSettings | None = None,
    *,
    veneer: Veneer | None = None,
    settings: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Evaluate a pair, and a veneer between them, on tasks of the harness into the folder `out`.

    load: gives the pair; not called where the folder is finished. tasks: names of tasks or groups,
    or YAML files. settings: more of what a second run must share, for run.json. Raises InputError
    for a task that the harness does not have, MissingExtra without the harness.
    """
    study = LmEvalStudy(load, tasks, config or LmEvalSettings(), veneer, settings or {})
    return run_study(study, out, progress=progress)


class LmEvalStudy:
    """Tasks of the harness. See `lm_eval` for the arguments."""

    name = "lm-eval"

    def __init__(
        self,
        load: Callable[[], Pair],
        tasks: Sequence[str],
        config: LmEvalSettings,
        veneer: Veneer | None,
        settings: dict[str, Any],
    ):
        self.load = load
        self.tasks = list(tasks)
        self.config = config
        self.veneer = veneer
        self.more_settings = settings

    def settings(self) -> dict[str, Any]:
        return {
            **self.more_settings,
            "tasks": self.tasks,
            "veneer": None if self.veneer is None else self.veneer.identity(),
            **asdict(self.config),
        }

    def check(self) -> None:
        self.chosen = chosen_lm_eval_tasks(self.tasks, self.config.include_path)

    def stages(self) -> tuple[Stage, ...]:
        return (Stage("load"), Stage("lm-eval", writes=("samples/",)))

    def measure(self, run: Run) -> Iterator[Measurement]:
        config = self.config
        with run.stage("load"):
            pair = self.load().dated(run.day)
            systems = self._systems(pair)
        with run.stage("lm-eval"):
            rows = evaluate_with_lm_eval(
                systems,
                self.chosen,
                config.include_path,
                config.limit,
                run.out / "samples",
                num_fewshot=config.num_fewshot,
                batch_size=config.batch_size,
                seed=config.seed,
                progress=run.progress,
            )
        run.note(
            pair=pair.facts(), systems=[s.facts() for s in systems], seeds={"study": config.seed}
        )
        yield from rows

    def _systems(self, pair: Pair) -> list[System]:
        if self.veneer is not None:
            return pair_systems(pair, self.veneer)
        return [
            System("base", pair.base, pair.base_format, pair.stop_ids),
            System("aligned", pair.aligned, pair.aligned_format, pair.aligned_stop_ids),
        ]
