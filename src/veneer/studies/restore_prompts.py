"""Which prompts a restoration learns from, which it chooses on, and which it reports on: never the same ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from veneer.errors import InputError
from veneer.prompts import Prompt
from veneer.tasks.task import Task

LEAST = 3  # prompts of a part; an extraction needs train, select and report of its own


@dataclass(frozen=True)
class Roles:
    """harmful: what should be refused. safe: what should not, measured as over-refusal. capability: what the model should still be able
    to do. harmless: what a new veneer learns beside refusals; without it, it would learn to refuse everything."""

    harmful: tuple[Task, ...]
    safe: tuple[Task, ...]
    capability: tuple[Task, ...]
    harmless: tuple[Task, ...] = ()

    def __post_init__(self) -> None:
        for role in ("harmful", "safe", "capability"):
            if not getattr(self, role):
                raise InputError(f"there is no {role} task; name at least one with --{role}")
        both = {t.name for t in self.harmful} & {t.name for t in (*self.safe, *self.capability, *self.harmless)}
        if both:
            raise InputError(f"{', '.join(sorted(both))} is given as harmful and as harmless; give each task one of the two")
        for task in (*self.harmful, *self.safe, *self.harmless):
            if task.kind != "generate":
                raise InputError(f"{task.name} has no answers in words, so that nothing can be refused; give it as --capability")
        for task in self.capability:
            if task.better != "up":
                raise InputError(
                    f"less {task.headline} is better on {task.name}, so that it measures no capability; give a task such as svamp"
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


def parts_of(task: Task, *, safe: bool, extraction: int, validation: int, report: int | None) -> Parts:
    """The parts of a task.

    Of a task with train prompts: extraction takes the first ones, validation the last ones, the report the test prompts. A task without
    is cut in halves by a hash of each prompt's id, and nothing is extracted from it. safe: leave out prompts that are
    labelled unsafe (XSTest). Raises InputError where a part would be too small.
    """
    train, test = _chosen(task.prompts("train"), safe), _chosen(task.prompts("test"), safe)
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
                f"{task.name} has {len(part)} prompts for the {name} part; expected at least {LEAST}: give another task"
            )
    return parts


def in_report_half(prompt_id: str) -> bool:
    """Whether a prompt of a task without train prompts belongs to the report half: by the first byte of sha256 of its id."""
    return hashlib.sha256(prompt_id.encode("utf-8", errors="replace")).digest()[0] % 2 == 1


def _chosen(prompts: Iterable[Prompt], safe: bool) -> list[Prompt]:
    return [p for p in prompts if not safe or p.reference.get("label") != "unsafe"]
