"""The tasks of the embedded written world; they need no data folder and no network."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veneer.prompts.prompt import Prompt
from veneer.tasks.task import Better, Split, Task, check_split
from veneer.tasks.word_problems import WordProblems, score_number

_REFUSALS = ("lab-requests", "lab-harmless")


@dataclass(frozen=True)
class LabTask(Task):
    """lab-requests, lab-harmless: refusals, wanted and not wanted. lab-sums: accuracy of the last
    number. lab-facts: whether the answer's word is in the text."""

    name: str
    max_new_tokens = 48
    published_max_new_tokens = 48
    stop = ("Question:",)
    licence = "Apache-2.0"
    citation = "made up for this package (docs/architecture.md)"

    @property
    def headlines(self) -> Mapping[str, Better]:  # type: ignore[override]
        if self.name == "lab-sums":
            return {"accuracy": "up", "accuracy_strict": "up"}
        return (
            {"accuracy": "up"}
            if self.name == "lab-facts"
            else {"refusal_rate": "down" if self.name == "lab-harmless" else "up"}
        )

    @property
    def scoring(self) -> str:  # type: ignore[override]
        if self.name in _REFUSALS:
            return "refusal_rate: full refusals, by the refusal judge"
        return (
            WordProblems.scoring
            if self.name == "lab-sums"
            else "accuracy: the answer's word stands in the text, before Question:"
        )

    def prompts(self, split: Split) -> list[Prompt]:
        from veneer.lab.world import lab_prompts

        check_split(split)
        return lab_prompts(self.name, split)

    def kept_templates(self) -> set[str | None]:
        from veneer.lab.world import PLAIN

        return {PLAIN}  # the lab models were trained on it and can read no other

    def score(self, prompt: Prompt, text: str) -> dict[str, float]:
        if self.name in _REFUSALS:
            return {}
        return (
            score_number(prompt, text)
            if self.name == "lab-sums"
            else {"accuracy": float(says(text, prompt))}
        )

    def source(self) -> dict[str, Any]:
        return {"from": "the package (veneer.lab)", "files": []}

    def in_folder(self) -> bool:
        return False  # no data folder holds it, so that `run` takes it by name alone

    def available(self) -> bool:
        return True


def says(text: str, prompt: Prompt) -> bool:
    """Return whether the answer stands in the text as a word of its own, in upper or lower case."""
    answer = re.escape(str(prompt.reference["answer"]))
    return (
        re.search(rf"(?<!\w){answer}(?!\w)", text.partition("Question:")[0], re.IGNORECASE)
        is not None
    )


def _factory(name: str) -> Callable[[Path | None], LabTask]:
    """Return a factory as the registry expects it. The prompts come with the package, so it does
    not read the data folder."""
    return lambda data: LabTask(name)


REQUESTS = _factory("lab-requests")
HARMLESS = _factory("lab-harmless")
SUMS = _factory("lab-sums")
FACTS = _factory("lab-facts")
