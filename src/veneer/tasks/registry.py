"""Tasks by name, or by the file of an own task."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from veneer.foundation.errors import InputError
from veneer.tasks import lab
from veneer.tasks.advbench import AdvBench
from veneer.tasks.custom import OwnTask
from veneer.tasks.data import find_data
from veneer.tasks.gsm8k import Gsm8k
from veneer.tasks.harmbench import HarmBench
from veneer.tasks.ifeval import IFEval
from veneer.tasks.instructions import Instructions
from veneer.tasks.mmlu import Mmlu
from veneer.tasks.strongreject import StrongReject
from veneer.tasks.svamp import Svamp
from veneer.tasks.task import Task
from veneer.tasks.toxigen import ToxiGen
from veneer.tasks.truthfulqa import TruthfulQA
from veneer.tasks.truthfulqa_mc import TruthfulQAChoice
from veneer.tasks.xstest import XSTest

_WITH_DATA: dict[str, Callable[[Path | None], Task]] = {
    "advbench": AdvBench,
    "svamp": Svamp,
    "gsm8k": Gsm8k,
    "toxigen": ToxiGen,
    "toxigen-groups": partial(ToxiGen, by="groups"),
    "toxigen-statements": partial(ToxiGen, by="statements"),
    "truthfulqa": TruthfulQA,
    "truthfulqa-mc": TruthfulQAChoice,
    "harmbench": HarmBench,
    "harmbench-contextual": partial(HarmBench, part="contextual"),
    "harmbench-copyright": partial(HarmBench, part="copyright"),
    "strongreject": StrongReject,
    "xstest": XSTest,
    "instructions": Instructions,
    "mmlu": Mmlu,
    "ifeval": IFEval,
}
TASK_NAMES = (*_WITH_DATA, *lab.NAMES)
OWN = "a file of your own task (file:NAME.jsonl)"


def get_task(name: str, data: Path | None = None) -> Task:
    """The task `name`, with its data from `data`, VENEER_DATA or a pinned download; or the
    own task of a file (`file:PATH`, or a path that ends in .jsonl). Raises InputError for
    an unknown name."""
    if is_file_name(name):
        return _own(Path(name.removeprefix("file:")))
    if name in lab.NAMES:
        return lab.LabTask(name)
    if name not in _WITH_DATA:
        raise InputError(
            f"there is no task {name!r}; expected one of {', '.join(TASK_NAMES)}, or {OWN}"
        )
    return _WITH_DATA[name](find_data(data))


def is_file_name(name: str) -> bool:
    """Whether a task's name is that of a file."""
    return name.startswith("file:") or name.endswith(".jsonl")


def chosen_tasks(names: str | None, data: Path | None = None) -> list[Task]:
    """The tasks named, separated by commas; without names every task that the data folder has and
    that needs no judge model, variants aside.

    Raises InputError for an unknown or repeated name, and where there is no task at all.
    """
    if names is not None:
        chosen = [n.strip() for n in names.split(",") if n.strip()]
        if not chosen:
            raise InputError(
                f"--tasks names no task; expected some of {', '.join(TASK_NAMES)}, separated "
                "by commas"
            )
        tasks = [get_task(n, data) for n in chosen]
        if len({t.name for t in tasks}) < len(tasks):
            raise InputError(f"--tasks {names} names a task twice; name each once")
        return tasks
    folder = find_data(data)
    found = [make(folder) for make in _WITH_DATA.values()]
    tasks = [t for t in found if t.in_folder() and t.by_default and not t.needs_judge]
    if not tasks:
        where = (
            f"{folder} holds the data of no task"
            if folder
            else "no data folder and no task is given"
        )
        raise InputError(
            f"{where}; give --data or VENEER_DATA, or name tasks, as in --tasks lab-sums"
        )
    return tasks


def _own(path: Path) -> Task:
    task = OwnTask.read(path)
    if task.name in TASK_NAMES:
        raise InputError(
            f"{path} names its task {task.name!r}, as a task of this package is named; give it "
            "another name"
        )
    return task
