"""The prompts of a transfer: to learn from, to choose alpha on, to report distances on, and none of
these a test prompt; and what each step of the study has seen of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from veneer.capture.artefact import Capture
from veneer.foundation.errors import InputError
from veneer.head.split import Split
from veneer.head.veneer import Veneer
from veneer.prompts.clusters import prompt_clusters
from veneer.prompts.prompt import Prompt
from veneer.studies.transfer.settings import TransferSettings
from veneer.tasks.task import Task
from veneer.tasks.train_prompts import TrainPrompts

LEAST = 3  # train prompts: train, select, report


def fairness(
    prompts: TransferPrompts, settings: TransferSettings, report_part: str
) -> dict[str, Any]:
    """What each step of the study has seen of the tasks' prompts, as data; `words.fairness` says it
    in English. report_part: of `report_part`."""
    veneers = {
        "small_veneer": report_part == "extracted_here",
        "baked": settings.bake,
        "own_veneer": settings.own,
    }
    return {
        "dropped": prompts.dropped,
        **({"repeated": prompts.repeated} if prompts.repeated else {}),
        "train_prompts": len(prompts.of_split("train")),
        "fitted": [name for name, fitted in veneers.items() if fitted],
        "report_part": report_part,
    }


def report_part(given: Veneer | None, large: Capture | None, seed: int) -> str:
    """Whether the small veneer saw the report part: "extracted_here" without a given
    veneer, "held_out" where that comes from a capture of the large capture's prompts, token for
    token, under the same split, otherwise "unknown"."""
    if given is None:
        return "extracted_here"
    config, capture = given.facts.get("config", {}), given.facts.get("capture", {})
    same = large is not None and capture.get("prompts_sha256") == large.manifest["prompts_sha256"]
    held_out = same and config.get("seed") == seed and config.get("tasks") is None
    return "held_out" if held_out else "unknown"


@dataclass(frozen=True)
class TransferPrompts:
    """train: the train prompts of all tasks, whose split by prompt every capture of the study
    shares (None: there are none). test: each task's. dropped: train prompts left out because a task
    has the same text among its test prompts. repeated: left out because an earlier train prompt has
    the same text."""

    train: list[Prompt]
    split: Split | None
    test: dict[str, list[Prompt]]
    dropped: int
    repeated: int = 0

    @classmethod
    def of_tasks(
        cls,
        tasks: Sequence[Task],
        train_prompts: int | None,
        test_prompts: int | None,
        *,
        seed: int,
        learns: str | None,
    ) -> TransferPrompts:
        """learns: what needs train prompts, for the message, or None. Raises InputError where that
        has too few of them."""
        test = {t.name: t.prompts("test") for t in tasks}
        learnt = TrainPrompts.of_tasks(tasks, train_prompts)
        kept, dropped = learnt.prompts, sum(learnt.tested.values())
        if learns and len(kept) < LEAST:
            names = ", ".join(t.name for t in tasks)
            raise InputError(
                f"{names} have {len(kept)} train prompts between them; {learns} needs at least "
                f"{LEAST} (train, select, report): add a task that has them, or give more "
                "--train, and a larger --limit where it is given"
            )
        split = (
            Split.by_prompt(range(len(kept)), [p.task for p in kept], seed, prompt_clusters(kept))
            if len(kept) >= LEAST
            else None
        )
        return cls(
            kept,
            split,
            {name: own[:test_prompts] for name, own in test.items()},
            dropped,
            sum(learnt.repeated.values()),
        )

    def of_split(self, name: str) -> list[Prompt]:
        """The prompts of "train", "select" or "report"."""
        return [] if self.split is None else [self.train[n] for n in getattr(self.split, name)]

    def numbers(self, capture: Capture, name: str) -> list[int]:
        """The numbers in a capture of the prompts of a split."""
        wanted = {(p.task, p.id) for p in self.of_split(name)}
        return [
            n
            for n in capture.prompt_numbers
            if (capture.prompts[n]["task"], capture.prompts[n]["id"]) in wanted
        ]
