"""The prompts of a restoration in three splits, extraction, validation and report; no prompt is in
two of them, and no text of a later split in an earlier one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from veneer.foundation.errors import InputError
from veneer.prompts.clusters import same_text
from veneer.prompts.prompt import Prompt
from veneer.studies.restore.inputs import Roles
from veneer.tasks.apart import check_apart
from veneer.tasks.task import Task
from veneer.tasks.train_prompts import TrainPrompts

LEAST = 3  # prompts of a split; an extraction needs train, select and report of its own


@dataclass(frozen=True)
class TaskSplits:
    """A task's prompts: to extract from, to choose alpha and rank on, and to report on."""

    extraction: tuple[Prompt, ...]
    validation: tuple[Prompt, ...]
    report: tuple[Prompt, ...]

    def every(self) -> tuple[Prompt, ...]:
        return (*self.extraction, *self.validation, *self.report)

    def sizes(self) -> dict[str, int]:
        """Number of prompts of each split."""
        names = ("extraction", "validation", "report")
        return {name: len(getattr(self, name)) for name in names}


def task_splits(
    task: Task, *, measured: bool, safe: bool, extraction: int, validation: int, report: int | None
) -> TaskSplits:
    """Split a task's prompts, with at most `extraction`, `validation` and `report`
    prompts (None: all).

    A task with train prompts gives its first ones for extraction, its last ones for validation and
    its test prompts for the report. A task without is cut in halves by a hash of each prompt's id,
    and nothing is extracted from it. measured: False for a task that is only learned from; it has
    no other part. safe: leave out prompts that are labelled unsafe (XSTest). Raises InputError
    where a part would have fewer than LEAST prompts.
    """
    train = _allowed(task.clustered("train"), safe)
    if not measured:
        if len(train) < LEAST:
            raise InputError(
                f"{task.name} has {len(train)} train prompts to learn from; expected at "
                f"least {LEAST}"
            )
        return TaskSplits(tuple(train[:extraction]), (), ())
    test = _allowed(task.clustered("test"), safe)
    if train:
        kept = min(validation, len(train) // 2)
        learned = train[: min(extraction, len(train) - kept)]
        splits = TaskSplits(tuple(learned), tuple(train[len(train) - kept :]), tuple(test[:report]))
    else:
        halves: tuple[list[Prompt], list[Prompt]] = ([], [])
        for prompt in test:
            halves[in_report_half(prompt.id)].append(prompt)
        splits = TaskSplits((), tuple(halves[0][:validation]), tuple(halves[1][:report]))
    for name, split in (("validation", splits.validation), ("report", splits.report)):
        if len(split) < LEAST:
            raise InputError(
                f"{task.name} has {len(split)} prompts for the {name} part; expected at least "
                f"{LEAST}: give another task, or a larger --limit where it is given"
            )
    return splits


@dataclass(frozen=True)
class RoleSplits:
    """The splits of every task of a restoration. by_task: task -> its splits. left_out: what the
    extraction left out, because a test or validation prompt of any task, or an earlier train
    prompt, has the same text. repeated: task -> number of validation prompts left out because a
    report prompt of any task has the same text."""

    by_task: dict[str, TaskSplits]
    left_out: TrainPrompts
    repeated: dict[str, int]

    def extraction(self, tasks: Iterable[Task]) -> list[Prompt]:
        """The prompts of some tasks that a veneer is extracted from."""
        return [p for t in tasks for p in self.by_task[t.name].extraction]

    @classmethod
    def of_roles(cls, roles: Roles, sizes: Mapping[str, int | None]) -> RoleSplits:
        """sizes: at most so many prompts, by "train", "validation" and "test"; None: all. Raises
        InputError as `task_splits`, and where what is left of a validation part is too small."""
        safe, measured = {t.name for t in roles.safe}, {t.name for t in roles.measured()}
        learned = {t.name for t in roles.learned()}
        by_name: dict[str, Task] = {}
        for task in (*roles.measured(), *roles.learned()):
            by_name.setdefault(task.name, task)  # the measured one, where two have a name
        tasks = list(by_name.values())
        splits = {
            t.name: task_splits(
                t,
                measured=t.name in measured,
                safe=t.name in safe,
                extraction=(sizes["train"] or 0) if t.name in learned else 0,
                validation=sizes["validation"] or 0,
                report=sizes["test"],
            )
            for t in tasks
        }
        validation = {name: p.validation for name, p in splits.items()}
        chosen_on = _unreported(splits)
        held_out = {t.name: t.prompts("test") for t in tasks}
        held_out |= {f"{name}, validation part": list(p) for name, p in chosen_on.items()}
        extraction = {name: p.extraction for name, p in splits.items() if p.extraction}
        left_out = TrainPrompts.of_prompts(extraction, held_out)
        kept = {
            name: TaskSplits(tuple(left_out.by_task.get(name, ())), chosen_on[name], p.report)
            for name, p in splits.items()
        }
        harmful, harmless = (
            [p for t in own for p in kept[t.name].every()]
            for own in (roles.harmful, (*roles.safe, *roles.harmless))
        )
        check_apart(harmful, harmless, ("harmful", "safe or harmless"))
        gone = {name: len(p) - len(chosen_on[name]) for name, p in validation.items()}
        return cls(kept, left_out, {name: n for name, n in gone.items() if n})


def _unreported(splits: Mapping[str, TaskSplits]) -> dict[str, tuple[Prompt, ...]]:
    """The validation prompts of each task whose text no report prompt of any task has."""
    reported = {same_text(p.text) for split in splits.values() for p in split.report}
    kept = {}
    for name, split in splits.items():
        kept[name] = tuple(p for p in split.validation if same_text(p.text) not in reported)
        if split.validation and len(kept[name]) < LEAST:
            raise InputError(
                f"{name} has {len(kept[name])} validation prompts, beside "
                f"{len(split.validation) - len(kept[name])} that are report prompts too; expected "
                f"at least {LEAST}: give more with --validation, or another task"
            )
    return kept


def in_report_half(prompt_id: str) -> bool:
    """Whether a prompt of a task without train prompts belongs to the report half: the first byte
    of sha256 of its id is odd."""
    return hashlib.sha256(prompt_id.encode("utf-8", errors="replace")).digest()[0] % 2 == 1


def _allowed(prompts: Iterable[Prompt], safe: bool) -> list[Prompt]:
    """The prompts; with `safe`, without those that are labelled unsafe."""
    return [p for p in prompts if not safe or p.reference.get("label") != "unsafe"]
