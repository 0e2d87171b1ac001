"""The files that a run was made from: whether models and tasks still hold what they held then.

A study's settings name models and tasks. A name is the same when a model was trained again into
its folder or a task's file was edited, and the figures in the run's folder are then not theirs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.run_record import RunRecord
from veneer.tasks.task import Task

NOTE = "model_files"  # of run.json: the hash of each model's files, by its name in the settings
WEIGHTS = (".safetensors", ".bin", ".gguf")
# names of what transformers reads of a model's folder; what a trainer leaves beside it is not read
READ = re.compile(
    r"(generation_|adapter_|tokenizer_|processor_)?config\.json|tokenizer\.(json|model)"
    r"|special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt"
    r"|chat_template\.(jinja|json)|.*\.index\.json|.*\.safetensors"
    r"|(pytorch|adapter)_model.*\.bin|spiece\.model"
)
SLICES, SLICE = 64, 1 << 14  # what is read of each file of weights, evenly over it
DESCRIPTIONS = ("config.json", "adapter_config.json")


def check_inputs(record: RunRecord, study: Any) -> None:
    """Raise InputError where a model or a task of an earlier run into the folder has changed on
    disk; note the models' files in a new record.

    study: its settings name the models; `tasks`, where it has them, are compared with the hashes
    that run.json holds. What is no longer there, and what a run of an earlier version did not note,
    is not compared.
    """
    files = dict(model_files(record.contents["config"]))
    if not record.path.is_file():
        record.contents[NOTE] = files
        return
    changed = _changed_models(record.contents.get(NOTE), files)
    changed += _changed_tasks(record.contents.get("data"), getattr(study, "tasks", ()))
    if changed:
        raise InputError(
            f"{record.path.parent} was made from other contents of {', '.join(changed)}, which "
            "changed since; give another --out, or delete the folder"
        )


def model_files(settings: Any) -> Iterator[tuple[str, str]]:
    """The name and the hash of each local model that the settings name, an adapter with its base:
    of its configs and tokenizer, and of 1 MiB of each file of weights. It tells a model that was
    trained again; it is no proof against tampering."""
    if isinstance(settings, Mapping):
        settings = list(settings.values())
    if isinstance(settings, list | tuple):
        for value in settings:
            yield from model_files(value)
    elif isinstance(settings, str):
        for name in dict.fromkeys((settings, *settings.split("@"))):
            files = _files(name)
            if files:
                yield name, _hash(files)


def _files(name: str) -> list[Path]:
    """The files that decide what the model of that name says; none where it is no local model."""
    try:
        place = Path(name)
        if place.is_file() and place.suffix == ".gguf":
            return [place]
        if not any((place / config).is_file() for config in DESCRIPTIONS):
            return []
        return sorted(p for p in place.iterdir() if READ.fullmatch(p.name) and p.is_file())
    except (OSError, ValueError):  # a text that is no path
        return []


def _hash(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        digest.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as stream:
            if path.suffix not in WEIGHTS or size <= SLICES * SLICE:
                digest.update(stream.read())
                continue
            for number in range(SLICES):
                stream.seek((size - SLICE) * number // (SLICES - 1))
                digest.update(stream.read(SLICE))
    return digest.hexdigest()


def _changed_models(before: Any, now: Mapping[str, str]) -> list[str]:
    known = before if isinstance(before, dict) else {}
    return [name for name, digest in now.items() if known.get(name, digest) != digest]


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
