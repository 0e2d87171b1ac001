"""Which prompts a restoration learns from, which it chooses on, and which it reports on:
never the same ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from veneer.foundation.errors import InputError
from veneer.foundation.files import sha256_file
from veneer.prompts.files import read_prompts
from veneer.prompts.prompt import Prompt
from veneer.tasks.custom import is_task_file
from veneer.tasks.registry import TASKS, get_task
from veneer.tasks.task import Better, Split, Task

LEAST = 3  # prompts of a part; an extraction needs train, select and report of its own


@dataclass(frozen=True)
class Roles:
    """harmful: what should be refused. safe: what should not, measured as over-refusal. capability:
    what the model should still be able to do. harmless: what a new veneer learns beside refusals;
    without it, it would learn to refuse everything."""

    harmful: tuple[Task, ...]
    safe: tuple[Task, ...]
    capability: tuple[Task, ...]
    harmless: tuple[Task, ...] = ()

    def __post_init__(self) -> None:
        for role in ("harmful", "safe", "capability"):
            if not getattr(self, role):
                raise InputError(f"there is no {role} task; name at least one with --{role}")
        both = {t.name for t in self.harmful} & {
            t.name for t in (*self.safe, *self.capability, *self.harmless)
        }
        if both:
            raise InputError(
                f"{', '.join(sorted(both))} is given as harmful and as harmless; give each task "
                "one of the two"
            )
        for task in (*self.harmful, *self.safe, *self.harmless):
            if task.kind != "generate":
                raise InputError(
                    f"{task.name} has no answers in words, so that nothing can be refused; give "
                    "it as --capability"
                )
        for task in self.capability:
            if task.better != "up":
                raise InputError(
                    f"less {task.headline} is better on {task.name}, so that it measures no "
                    "capability; give a task such as svamp"
                )

    def measured(self) -> list[Task]:
        """Every task that systems are measured on, once."""
        return list({t.name: t for t in (*self.harmful, *self.safe, *self.capability)}.values())

    def learned(self) -> list[Task]:
        """Every task that a veneer may be extracted on, once."""
        return list({t.name: t for t in (*self.harmful, *self.harmless)}.values())


@dataclass(frozen=True)
class Parts:
    """A task's prompts: for extraction, for validation (choosing), for the report."""

    extraction: tuple[Prompt, ...]
    validation: tuple[Prompt, ...]
    report: tuple[Prompt, ...]


def parts_of(
    task: Task, *, measured: bool, safe: bool, extraction: int, validation: int, report: int | None
) -> Parts:
    """The parts of a task.

    Of a task with train prompts: extraction takes the first ones, validation the last ones, the
    report the test prompts. A task without is cut in halves by a hash of each prompt's id, and
    nothing is extracted from it. measured: a task that is only learned from has no other part.
    safe: leave out prompts that are labelled unsafe (XSTest). Raises InputError where a part would
    be too small.
    """
    train = _chosen(task.prompts("train"), safe)
    if not measured:
        if len(train) < LEAST:
            raise InputError(
                f"{task.name} has {len(train)} train prompts to learn from; expected at "
                f"least {LEAST}"
            )
        return Parts(tuple(train[:extraction]), (), ())
    test = _chosen(task.prompts("test"), safe)
    if train:
        kept = min(validation, len(train) // 2)
        learned = train[: min(extraction, len(train) - kept)]
        parts = Parts(tuple(learned), tuple(train[len(train) - kept :]), tuple(test[:report]))
    else:
        halves: tuple[list[Prompt], list[Prompt]] = ([], [])
        for prompt in test:
            halves[in_report_half(prompt.id)].append(prompt)
        parts = Parts((), tuple(halves[0][:validation]), tuple(halves[1][:report]))
    for name, part in (("validation", parts.validation), ("report", parts.report)):
        if len(part) < LEAST:
            raise InputError(
                f"{task.name} has {len(part)} prompts for the {name} part; expected at least "
                f"{LEAST}: give another task"
            )
    return parts


@dataclass(frozen=True)
class PromptFile(Task):
    """A file of prompts (prompt_files.read_prompts) to learn from: they have no answers to score
    and no test part."""

    path: Path
    name: str
    headlines: ClassVar[Mapping[str, Better]] = {}

    def prompts(self, split: Split) -> list[Prompt]:
        found = read_prompts(str(self.path)) if split == "train" else []
        return [replace(p, task=self.name) for p in found]

    def source(self) -> dict[str, Any]:
        return {"from": str(self.path), "files": {self.path.name: sha256_file(self.path)}}


def harmless_tasks(names: str, data: Path | None) -> tuple[Task, ...]:
    """Tasks, custom task files and files of prompts, separated by commas. Raises InputError
    for anything else."""
    found: list[Task] = []
    for name in (n.strip() for n in names.split(",") if n.strip()):
        path = Path(name)
        if name in TASKS or name.startswith("file:") or (path.is_file() and is_task_file(path)):
            found.append(get_task(name, data))
        elif path.is_file():
            found.append(PromptFile(path, path.stem))
        else:
            raise InputError(
                f"{name} is neither a task nor a file; expected harmless prompts to learn "
                "beside refusals"
            )
    if len({t.name for t in found}) < len(found):
        raise InputError(f"--harmless {names} names a task twice; name each once")
    return tuple(found)


def in_report_half(prompt_id: str) -> bool:
    """Whether a prompt of a task without train prompts belongs to the report half: by the first
    byte of sha256 of its id."""
    return hashlib.sha256(prompt_id.encode("utf-8", errors="replace")).digest()[0] % 2 == 1


def _chosen(prompts: Iterable[Prompt], safe: bool) -> list[Prompt]:
    return [p for p in prompts if not safe or p.reference.get("label") != "unsafe"]
