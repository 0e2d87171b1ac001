"""Tasks by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from veneer.errors import InputError
from veneer.tasks import advbench, gsm8k, lab, svamp, toxigen, truthfulqa
from veneer.tasks.data import Origin, find_data, has
from veneer.tasks.task import Task

_WITH_DATA: dict[str, tuple[Callable[[Path | None], Task], Origin]] = {
    "advbench": (advbench.AdvBench, advbench.ORIGIN),
    "svamp": (svamp.Svamp, svamp.ORIGIN),
    "gsm8k": (gsm8k.Gsm8k, gsm8k.ORIGIN),
    "toxigen": (toxigen.ToxiGen, toxigen.ORIGIN),
    "truthfulqa": (truthfulqa.TruthfulQA, truthfulqa.ORIGIN),
}
TASK_NAMES = (*_WITH_DATA, *lab.NAMES)


def get_task(name: str, data: Path | None = None) -> Task:
    """The task `name`, with its data from `data`, VENEER_DATA or a pinned download. Raises InputError for an unknown
    name."""
    if name in lab.NAMES:
        return lab.LabTask(name)
    if name not in _WITH_DATA:
        raise InputError(f"there is no task {name!r}; expected one of {', '.join(TASK_NAMES)}")
    return _WITH_DATA[name][0](find_data(data))


def chosen_tasks(names: str | None, data: Path | None = None) -> list[Task]:
    """The tasks named, separated by commas; without names every task that the data folder has and that needs no judge
    model.

    Raises InputError for an unknown or repeated name, and where there is no task at all.
    """
    if names is not None:
        chosen = [n.strip() for n in names.split(",") if n.strip()]
        if len(set(chosen)) < len(chosen):
            raise InputError(f"--tasks {names} names a task twice; name each once")
        if not chosen:
            raise InputError(f"--tasks names no task; expected some of {', '.join(TASK_NAMES)}, separated by commas")
        return [get_task(n, data) for n in chosen]
    folder = find_data(data)
    found = [make(folder) for make, origin in _WITH_DATA.values() if has(origin, folder)]
    tasks = [t for t in found if not t.needs_judge]
    if not tasks:
        where = f"{folder} holds the data of no task" if folder else "no data folder and no task is given"
        raise InputError(f"{where}; give --data or VENEER_DATA, or name tasks, as in --tasks lab-sums")
    return tasks
