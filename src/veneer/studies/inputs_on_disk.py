"""What a run was made from: whether models, captures and tasks still hold what they held then."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.run_record import RunRecord
from veneer.models.on_disk import NOTE, changed, contents
from veneer.tasks.task import Task


def check_inputs(record: RunRecord, study: Any) -> None:
    """Raise InputError where a model, a capture or a task of an earlier run into the folder has
    changed on disk; note the contents of models and captures in a new record.

    study: its settings name the models; `tasks`, where it has them, are compared with the hashes
    that run.json holds. What is no longer there, and what a run of an earlier version did not note,
    is not compared.
    """
    now = dict(contents(record.contents["config"]))
    if not record.path.is_file():
        record.contents[NOTE] = now
        return
    names = changed(record.contents.get(NOTE), now)
    names += _changed_tasks(record.contents.get("data"), getattr(study, "tasks", ()))
    if names:
        raise InputError(
            f"{record.path.parent} was made from other contents of {', '.join(names)}, which "
            "changed since; give another --out, or delete the folder"
        )


def _changed_tasks(before: Any, tasks: Any) -> list[str]:
    known, changed = before if isinstance(before, dict) else {}, []
    for task in tasks:
        if not isinstance(task, Task):
            continue
        try:
            same = task.name not in known or _hashes(known[task.name]) == _hashes(task.source())
        except (InputError, OSError):
            continue  # its data is not on this machine
        if not same:
            changed.append(f"the task {task.name}")
    return changed


def _hashes(source: Any) -> list[str]:
    """The files' hashes in an entry of run.json, wherever the files lie."""
    if isinstance(source, list):
        return sorted(h for value in source for h in _hashes(value))
    if not isinstance(source, Mapping):
        return []
    own = [json.dumps(source["sha256"])] if "sha256" in source else []
    return sorted([*own, *(h for value in source.values() for h in _hashes(value))])
