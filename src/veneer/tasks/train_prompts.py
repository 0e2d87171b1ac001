"""The prompts that a study learns from: no test prompt of any of its tasks, and each text once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from veneer.prompts.clusters import same_text
from veneer.prompts.prompt import Prompt
from veneer.tasks.task import Task


@dataclass(frozen=True)
class TrainPrompts:
    """by_task: the train prompts of each task that has any. tested: (task, task whose test prompts
    hold the same text) -> number of train prompts left out for that. repeated: task -> number left
    out because an earlier train prompt has the same text."""

    by_task: dict[str, list[Prompt]]
    tested: dict[tuple[str, str], int]
    repeated: dict[str, int]

    @classmethod
    def of_tasks(cls, tasks: Sequence[Task], most: int | None) -> TrainPrompts:
        """Return at most `most` train prompts of each task that is answered in words.

        The first `most` prompts are looked at, so that a smaller number is left where some are left
        out. Texts are compared by `same_text`, with all test prompts of all tasks, also those that
        a study does not measure. A text in the test prompts of several tasks counts for its own
        task if that is among them, otherwise for the first.
        """
        train = {t.name: t.clustered("train")[:most] if t.kind == "generate" else [] for t in tasks}
        return cls.of_prompts(train, {t.name: t.prompts("test") for t in tasks})

    @classmethod
    def of_prompts(
        cls, train: Mapping[str, Sequence[Prompt]], held_out: Mapping[str, Sequence[Prompt]]
    ) -> TrainPrompts:
        """Return the train prompts of each task without those whose text is among the held-out ones
        of any task, and each text once. A text that several tasks hold out counts for its own task
        if that is among them, otherwise for the first."""
        tested_by: dict[str, list[str]] = {}
        for task, prompts in held_out.items():
            for text in {same_text(p.text) for p in prompts}:
                tested_by.setdefault(text, []).append(task)
        seen: set[str] = set()
        tested: Counter[tuple[str, str]] = Counter()
        repeated: Counter[str] = Counter()
        by_task = {}
        for task, prompts in train.items():
            kept = []
            for prompt in prompts:
                text = same_text(prompt.text)
                if others := tested_by.get(text):
                    tested[task, task if task in others else others[0]] += 1
                elif text in seen:
                    repeated[task] += 1
                else:
                    seen.add(text)
                    kept.append(prompt)
            by_task[task] = kept
        return cls({t: p for t, p in by_task.items() if p}, dict(tested), dict(repeated))

    @property
    def prompts(self) -> list[Prompt]:
        """The prompts of all tasks, in the order of the tasks."""
        return [p for prompts in self.by_task.values() for p in prompts]

    @property
    def dropped(self) -> int:
        return sum(self.tested.values()) + sum(self.repeated.values())

    def facts(self) -> dict[str, Any]:
        """What was left out, for run.json."""
        return {
            "tested": [
                {"train": train, "test": test, "prompts": n}
                for (train, test), n in self.tested.items()
            ],
            "repeated": self.repeated,
        }

    def left_out_for(self, task: str) -> dict[str, int]:
        """Return train task -> number of its prompts left out because `task` tests on them."""
        return {train: n for (train, test), n in self.tested.items() if test == task}
