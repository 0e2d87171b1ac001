"""A task made of what a program has at hand: prompts, and a function or a judge that scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from veneer.foundation.display import line
from veneer.foundation.errors import InputError
from veneer.foundation.files import sha256_text
from veneer.judges.given import as_judge
from veneer.judges.judge import Judge
from veneer.prompts.given import Prompts, as_prompts
from veneer.prompts.prompt import PLACE, Prompt
from veneer.prompts.templates import wrapped
from veneer.tasks.task import Better, Split, Task, check_split


class GivenTask(Task):
    """The task that `make_task` gives."""

    by_default = False

    def __init__(
        self,
        name: str,
        test: Sequence[Prompt],
        train: Sequence[Prompt],
        judge: Judge | None,
        better: Better,
    ):
        super().__init__(None)
        self.name = name
        self._prompts: dict[str, Sequence[Prompt]] = {"test": test, "train": train}
        metrics = ["refusal_rate"] if judge is None else list(judge.metrics)
        self.headlines = dict.fromkeys(metrics, better)  # type: ignore[misc]
        if judge is not None:
            self.judges = ("refusal", judge.name)
            self.own_judges = {judge.name: judge}
            self.headline_judges = dict.fromkeys(metrics, judge.name)  # type: ignore[misc]

    def __repr__(self) -> str:
        counts = {split: len(prompts) for split, prompts in self._prompts.items()}
        return line("Task", {"name": self.name, **counts, "scores": ", ".join(self.headlines)})

    def prompts(self, split: Split) -> list[Prompt]:
        check_split(split)
        return list(self._prompts[split])

    def source(self) -> dict[str, Any]:
        """Return the hash of the prompts and the id of the judge."""
        texts = [[p.id, p.plain, list(p.messages)] for s in self._prompts.values() for p in s]
        ids = [judge.id for judge in self.own_judges.values()]
        return {"sha256": sha256_text(repr(texts)), "judges": ids}


def make_task(
    name: str,
    test: Prompts,
    score: Any = None,
    *,
    train: Prompts = (),
    template: str = PLACE,
    better: Better = "up",
    metric: str | None = None,
    unit: str | None = None,
) -> Task:
    """Return a task of one's own prompts.

    test, train: prompts to measure on, and prompts for the capture (prompts/given.py says what a
    prompt may be). score: a function of (answer) or of (prompt, answer) that gives a number, True
    or False, or None for no verdict; an object with such a method `judge`; a veneer.Judge; or None,
    which measures refusals alone. template: text around each prompt for base, with {prompt} where
    it goes. better: "up" or "down", the direction in which the score should go. metric: the score's
    name, by default the function's. unit: what the score is in, such as "characters", for tables
    and the report; by default a share where the function gives True or False, otherwise points.
    Raises InputError where one of these is something else.
    """
    if better not in ("up", "down"):
        raise InputError(f"better is {better!r}; expected 'up' or 'down'")
    if PLACE not in template:
        raise InputError(f"the template {template!r} has no {{prompt}}; put {{prompt}} in it")
    measured = [_of_task(p, name, "test", template) for p in as_prompts(test)]
    learnt = [_of_task(p, name, "train", template) for p in as_prompts(train)]
    if not measured:
        raise InputError(f"the task {name!r} has no test prompts; give at least one")
    judge = None if score is None else as_judge(score, metric, unit)
    return GivenTask(name, measured, learnt, judge, better)


def _of_task(prompt: Prompt, task: str, split: Split, template: str) -> Prompt:
    """Return the prompt as one of the task, with its template; a prompt from elsewhere keeps its
    own."""
    if prompt.task != "prompts":
        return replace(prompt, task=task)
    plain = wrapped(template, prompt.messages) if template != PLACE else prompt.plain
    id = f"{split}-{prompt.id}" if prompt.id.isdigit() else prompt.id
    return replace(prompt, id=id, task=task, plain=plain, template=template)
