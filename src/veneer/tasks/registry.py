"""Tasks by name: those of this package, those of installed packages, and custom task files."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.registry import Registry
from veneer.prompts.clusters import warn_of_repeats
from veneer.tasks.custom import CustomTask
from veneer.tasks.data import find_data
from veneer.tasks.task import Task

# A task class, or a function that returns a task; both take the data folder, or None.
TaskFactory = Callable[[Path | None], Task]

TASKS: Registry[TaskFactory] = Registry(
    "task",
    "veneer.tasks",
    {
        "advbench": "veneer.tasks.advbench:AdvBench",
        "svamp": "veneer.tasks.svamp:Svamp",
        "gsm8k": "veneer.tasks.gsm8k:Gsm8k",
        "toxigen": "veneer.tasks.toxigen:ToxiGen",
        "toxigen-groups": "veneer.tasks.toxigen:BY_GROUPS",
        "toxigen-statements": "veneer.tasks.toxigen:BY_STATEMENTS",
        "truthfulqa": "veneer.tasks.truthfulqa:TruthfulQA",
        "truthfulqa-mc": "veneer.tasks.truthfulqa_mc:TruthfulQAChoice",
        "harmbench": "veneer.tasks.harmbench:HarmBench",
        "harmbench-contextual": "veneer.tasks.harmbench:CONTEXTUAL",
        "harmbench-copyright": "veneer.tasks.harmbench:COPYRIGHT",
        "strongreject": "veneer.tasks.strongreject:StrongReject",
        "xstest": "veneer.tasks.xstest:XSTest",
        "instructions": "veneer.tasks.instructions:Instructions",
        "mmlu": "veneer.tasks.mmlu:Mmlu",
        "ifeval": "veneer.tasks.ifeval:IFEval",
        "lab-requests": "veneer.tasks.lab:REQUESTS",
        "lab-harmless": "veneer.tasks.lab:HARMLESS",
        "lab-sums": "veneer.tasks.lab:SUMS",
        "lab-facts": "veneer.tasks.lab:FACTS",
    },
    also="a custom task file (file:NAME.jsonl)",
)


def task(name: str) -> Callable[[Any], Any]:
    """Return a decorator that registers a task under `name` (docs/extending.md).

    It stands above a subclass of `Task`, or above a function that returns a task; either takes the
    data folder (a Path, or None where no folder is given). Raises InputError where another task has
    the name.
    """
    return TASKS.register(name)


def get_task(name: str, data: Path | None = None) -> Task:
    """Return the task `name`, with its data from the folder `data`, from VENEER_DATA or from a
    pinned download; or the custom task of a file (`file:PATH`, or a path that ends in .jsonl).

    Raises InputError for an unknown name, and for a task of another package that cannot be
    imported or is no task of that name.
    """
    if is_file_name(name):
        return _from_file(Path(name.removeprefix("file:")))
    built = TASKS.get(name)(find_data(data))
    if not isinstance(built, Task) or built.name != name:
        what = f"a task called {built.name!r}" if isinstance(built, Task) else repr(built)
        raise InputError(
            f"the task {name!r} gives {what}; expected an object of veneer.Task whose name is "
            f"{name!r}"
        )
    return built


def is_file_name(name: str) -> bool:
    """Return whether a task's name is that of a file."""
    return name.startswith("file:") or name.endswith(".jsonl")


def chosen_tasks(names: str | None, data: Path | None = None) -> list[Task]:
    """Return the tasks named, separated by commas; without names every task whose data the data
    folder holds and that needs no judge model, variants aside.

    Raises InputError for an unknown or repeated name, and where there is no task at all.
    """
    if names is not None:
        chosen = [n.strip() for n in names.split(",") if n.strip()]
        if not chosen:
            raise InputError(
                f"--tasks names no task; expected some of {', '.join(TASKS)}, separated by commas"
            )
        tasks = [get_task(n, data) for n in chosen]
        if len({t.name for t in tasks}) < len(tasks):
            raise InputError(f"--tasks {names} names a task twice; name each once")
        for task in tasks:
            if isinstance(task, CustomTask):
                warn_of_repeats(task.prompts("test"), f"the test part of {task.path}")
        return tasks
    folder = find_data(data)
    tasks = [
        t for t in importable_tasks(folder) if t.in_folder() and t.by_default and not t.needs_judge
    ]
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


def importable_tasks(data: Path | None = None) -> list[Task]:
    """Return every task. One of another package that cannot be imported is left out with a warning:
    it must not break the others."""
    tasks = []
    for name in TASKS:
        try:
            tasks.append(get_task(name, data))
        except InputError as error:
            if name in TASKS.built_in:
                raise
            logging.getLogger("veneer").warning("veneer: %s", error)
    return tasks


def _from_file(path: Path) -> Task:
    custom = CustomTask.read(path)
    if custom.name in TASKS:
        raise InputError(
            f"{path} names its task {custom.name!r}, the name of another task; give it another name"
        )
    return custom
