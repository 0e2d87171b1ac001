"""The superficial portion of a pair that a program has loaded: `veneer run` for a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.progress import Progress
from veneer.measures.config import StudyConfig
from veneer.models.pair import Pair
from veneer.report.results import Results
from veneer.studies.portion.study import PortionStudy
from veneer.studies.runner import run_study
from veneer.tasks.registry import get_task
from veneer.tasks.task import Task


def measure_portion(
    pair: Pair,
    tasks: str | Task | Sequence[str | Task],
    out: str | Path,
    config: StudyConfig | None = None,
    *,
    data: str | Path | None = None,
    progress: Progress | bool | None = None,
) -> Results:
    """Capture, extract and measure: how much of the pair's alignment is only its surface.

    tasks: names (`veneer tasks` lists them) or tasks (`make_task`), at least one with train
    prompts. out: the study folder, with results.jsonl and report.html; one of the same models,
    tasks and settings is read, an interrupted one resumes. data: folder with the tasks' data.
    progress: False shows none in a notebook. Raises InputError where `out` holds another study, and
    for an unknown task.
    """
    if not isinstance(pair, Pair):
        raise InputError(
            f"found {type(pair).__name__} in the place of a pair; expected Pair.load(BASE, "
            "ALIGNED) or Pair.of(base, aligned, tokenizer)"
        )
    names = [tasks] if isinstance(tasks, str | Task) else list(tasks)
    folder = None if data is None else Path(data)
    chosen = [t if isinstance(t, Task) else get_task(t, folder) for t in names]
    models = {
        name: {"name": lm.name, "fingerprint": lm.fingerprint(), "format": form.facts()}
        for name, lm, form in (
            ("base", pair.base, pair.base_format),
            ("aligned", pair.aligned, pair.aligned_format),
        )
    }
    settings: dict[str, Any] = {**models, "data": {t.name: t.source() for t in chosen}}
    study = PortionStudy(lambda: pair, chosen, config or StudyConfig(), settings, "run")
    return run_study(study, out, progress=progress)
