"""TruthfulQA as multiple choice, MC1: which of the answers has the highest likelihood, the best one
or an incorrect one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from veneer.foundation.errors import InputError
from veneer.prompts.prompt import Prompt
from veneer.prompts.templates import NAMED
from veneer.tasks.task import Better, Split, Task, check_split
from veneer.tasks.truthfulqa import ORIGIN, TruthfulQA, answers, questions


@dataclass(frozen=True)
class TruthfulQAChoice(Task):
    """reference: {"choices"}, the best answer and the incorrect ones as continuations, and
    {"answer"}, the index of the best.

    The base reads `Q: {question}\\nA:` (Lin et al. prime it with six examples, which are left out
    here). The best answer takes its place among the others by the question's number, so that no
    rule of position helps.
    """

    data: Path | None = None
    name = "truthfulqa-mc"
    kind: Literal["generate", "choice"] = "choice"
    origin = ORIGIN
    licence = TruthfulQA.licence
    citation = TruthfulQA.citation
    headlines: ClassVar[Mapping[str, Better]] = {"accuracy": "up"}
    judges = ()
    scoring = (
        "accuracy (MC1): the best answer has the highest log-likelihood of all; accuracy_norm: "
        "for each byte of the choice"
    )
    max_new_tokens = 50
    published_max_new_tokens = 50

    def prompts(self, split: Split) -> list[Prompt]:
        check_split(split)
        if split == "train":
            return []
        out = []
        for i, row in enumerate(questions(split, self.data)):
            choices = [
                a
                for a in dict.fromkeys(answers(row["Incorrect Answers"]))
                if a != row["Best Answer"].strip()
            ]
            if not choices:
                raise InputError(
                    f"the question {row['Question']!r:.80} has no incorrect answer beside the best "
                    "one, which would always be chosen; expected one at least"
                )
            place = i % (len(choices) + 1)
            choices.insert(place, row["Best Answer"].strip())
            out.append(
                Prompt.from_text(
                    f"truthfulqa-mc-{split}-{i}",
                    row["Question"],
                    template=NAMED["qa"],
                    task=self.name,
                    choices=[f" {c}" for c in choices],
                    answer=place,
                )
            )
        return out
