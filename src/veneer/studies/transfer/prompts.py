"""What each part of a transfer study has seen of the tasks' prompts, in sentences for
run.json and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from veneer.capture.artefact import Capture
from veneer.foundation.errors import InputError
from veneer.head.split import Split
from veneer.head.veneer import Veneer
from veneer.prompts.prompt import Prompt
from veneer.studies.transfer.config import TransferConfig
from veneer.tasks.task import Task

UNKNOWN = "whether the small veneer's extraction saw these prompts is not known"


def fairness(
    prompts: TransferPrompts, config: TransferConfig, *, held_out: bool | None
) -> list[str]:
    """held_out: of a veneer that was given, whether the report part is held out for it too
    (`held_out_for`); None where it was extracted here."""
    tested = "figures on tasks are of test prompts alone."
    if prompts.dropped:
        said = [
            (
                f"{prompts.dropped} train prompts were left out because a test prompt has the "
                f"same text; {tested}"
            )
        ]
    else:
        said = [f"No train prompt has the text of a test prompt; {tested}"]
    parts = {
        "the small veneer": held_out is None,
        "the baked head": config.bake,
        "the own veneer": config.own,
    }
    if fitted := ", ".join(name for name, there in parts.items() if there):
        said.append(
            f"Fitted to {len(prompts.part('train'))} train prompts of these tasks: {fitted}, and "
            "with the small veneer every shifted system. Alpha was chosen on the select part, "
            "distances are reported on the report part; nothing was fitted to either."
        )
    if held_out is True:
        said.append(
            "The given veneer was extracted from the same train prompts under the same split: the "
            "report part is held out for it."
        )
    if held_out is False:
        said.append(
            f"The given veneer was extracted elsewhere: {UNKNOWN}, and that it saw no test prompt "
            "is the word of whoever gives it."
        )
    return said


def held_out_for(veneer: Veneer, large: Capture | None, seed: int) -> bool:
    """Whether a given veneer comes from a capture of the large capture's prompts, token for token,
    under the same split."""
    how, taken = veneer.facts.get("config", {}), veneer.facts.get("capture", {})
    same = large is not None and taken.get("prompts_sha256") == large.manifest["prompts_sha256"]
    return bool(same and how.get("seed") == seed and how.get("tasks") is None)


# The prompts of a transfer: to learn from, to choose alpha on, to report distances on, and none
# of these a test prompt.

LEAST = 3  # train, select, report


@dataclass(frozen=True)
class TransferPrompts:
    """train: the train prompts of all tasks, whose split by prompt every capture of the study
    shares (None: there are none). test: each task's. dropped: train prompts left out because a task
    has the same text among its test prompts."""

    train: list[Prompt]
    split: Split | None
    test: dict[str, list[Prompt]]
    dropped: int

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
        """learns: what needs train prompts, in words, or None. Raises InputError where that finds
        too few of them."""
        test = {t.name: t.prompts("test") for t in tasks}
        kept, dropped = _train(tasks, test, train_prompts)
        if learns and len(kept) < LEAST:
            names = ", ".join(t.name for t in tasks)
            raise InputError(
                f"{names} have {len(kept)} train prompts between them; {learns} needs at least "
                f"{LEAST} (train, select, report): add a task that has them, or give more --train"
            )
        split = (
            Split.by_prompt(range(len(kept)), [p.task for p in kept], seed)
            if len(kept) >= LEAST
            else None
        )
        return cls(kept, split, {name: some[:test_prompts] for name, some in test.items()}, dropped)

    def part(self, name: str) -> list[Prompt]:
        """The prompts of "train", "select" or "report"."""
        return [] if self.split is None else [self.train[n] for n in getattr(self.split, name)]

    def numbers(self, capture: Capture, name: str) -> list[int]:
        """The numbers in a capture of the prompts of a part."""
        wanted = {(p.task, p.id) for p in self.part(name)}
        return [
            n
            for n in capture.prompt_numbers
            if (capture.prompts[n]["task"], capture.prompts[n]["id"]) in wanted
        ]


def _train(
    tasks: Sequence[Task], test: Mapping[str, Sequence[Prompt]], most: int | None
) -> tuple[list[Prompt], int]:
    """Train prompts of the tasks that are answered in words, without those whose text is a test
    prompt; and how many those are."""
    tested = {p.plain for some in test.values() for p in some}
    found = [p for t in tasks if t.kind == "generate" for p in t.prompts("train")[:most]]
    kept = [p for p in found if p.plain not in tested]
    return kept, len(found) - len(kept)
