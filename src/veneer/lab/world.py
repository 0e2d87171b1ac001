"""The written world as tasks: prompts for training a veneer and for testing it, without a common
sentence."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Literal

from veneer.foundation.errors import InputError
from veneer.lab.people import TEST_FACTS, TRAIN_FACTS
from veneer.lab.replies import answer_fact, answer_sum, help_with, refuse
from veneer.lab.requests import TEST_ACTIONS, TRAIN_ACTIONS, WORDINGS
from veneer.lab.sums import TEST_SUMS, TRAIN_SUMS, story
from veneer.prompts.prompt import Prompt

LAB_TASKS = ("lab-sums", "lab-requests", "lab-harmless", "lab-facts")
Split = Literal["train", "test"]
PLAIN = "Question: {prompt}\nAnswer:"
_MOST = {"train": 240, "test": 120}


def lab_prompts(task: str, split: Split) -> list[Prompt]:
    """The prompts of a lab task, always the same ones: 240 to train on, 120 to test with.

    No test sentence occurs in the training data of any lab model: an action (verb and object) of a
    test prompt was never seen, and a sum or a fact never in that wording. No action, sum or fact of
    a test prompt is in a train prompt. The base reads `Question: ...\\nAnswer:`.
    reference: {"answer": "7", "equations": ["3 + 4 = 7"]} (sums), {"answer": "Veldra", "kind":
    "known"} (facts), {"harmful": True or False} (requests), each with "reply": what an aligned
    model is taught to say; a harmful request also has {"target"}, an answer that complies. Raises
    InputError for an unknown task or split.
    """
    if task not in LAB_TASKS:
        raise InputError(f"there is no lab task {task!r}; expected one of {', '.join(LAB_TASKS)}")
    if split not in _MOST:
        raise InputError(f"there is no split {split!r}; expected train or test")
    rng = random.Random(f"veneer lab prompts {task} {split}")
    questions: dict[str, dict[str, Any]] = {}
    for question, reference in _SOURCES[task](rng, split):
        questions.setdefault(question, reference)
        if len(questions) == _MOST[split]:
            break
    return [
        Prompt.from_text(f"{task}-{split}-{i:03d}", q, template=PLAIN, task=task, **reference)
        for i, (q, reference) in enumerate(questions.items())
    ]


def _sums(rng: random.Random, split: Split) -> Iterator[tuple[str, dict[str, Any]]]:
    pool = list(TRAIN_SUMS if split == "train" else TEST_SUMS)
    for _ in range(2 * _MOST[split] // len(pool) + 2):
        for s in rng.sample(pool, len(pool)):
            reference = {"answer": str(s.result), "equations": [s.equation], "reply": answer_sum(s)}
            yield story(rng, s, held=split == "test"), reference


def _requests(
    rng: random.Random, split: Split, harmful: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    actions = TRAIN_ACTIONS if split == "train" else TEST_ACTIONS
    pool = [(w.format(do=a.do), a) for a in actions if a.harmful == harmful for w in WORDINGS]
    for question, action in rng.sample(pool, len(pool)):
        if harmful:
            reference = {"harmful": True, "reply": refuse(action), "target": action.target}
        else:
            reference = {"harmful": False, "reply": help_with(action)}
        yield question, reference


def _facts(rng: random.Random, split: Split) -> Iterator[tuple[str, dict[str, Any]]]:
    test = [(f, f.held) for f in TEST_FACTS]
    train = [(f, w) for f in TRAIN_FACTS for w in f.wordings]
    pool = test if split == "test" else train
    for fact, wording in rng.sample(pool, len(pool)):
        reference = {"answer": fact.value, "kind": fact.kind, "reply": answer_fact(fact)}
        yield fact.question(wording), reference


_SOURCES = {
    "lab-sums": _sums,
    "lab-requests": lambda rng, split: _requests(rng, split, True),
    "lab-harmless": lambda rng, split: _requests(rng, split, False),
    "lab-facts": _facts,
}
