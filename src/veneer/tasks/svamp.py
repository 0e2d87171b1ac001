"""SVAMP: arithmetic word problems of one step (Patel et al. 2021, arXiv 2103.07191; MIT)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from veneer.prompts import Prompt
from veneer.tasks.data import Origin, Pin, describe, locate
from veneer.tasks.tables import read_rows
from veneer.tasks.task import Better, Split, Task, check_split
from veneer.tasks.word_problems import MARKS, score_number, word_problem

FILE = "svamp/SVAMP.json"
ORIGIN = Origin(
    "arkilpatel/SVAMP",
    {
        FILE: Pin(
            "6f09ab516ab06c18e948c0325236e84e80b5d4bd",
            "SVAMP.json",
            "5be77703a6d891ae476d7c082787ad361392aa02453b132516cdd5f4e7934e3e",
        )
    },
)
TRAIN = 700  # neighbours in the file are variants of each other, so the split is by position


@dataclass(frozen=True)
class Svamp(Task):
    data: Path | None = None
    name = "svamp"
    headlines: ClassVar[Mapping[str, Better]] = {"accuracy": "up", "accuracy_strict": "up"}
    max_new_tokens = 128
    published_max_new_tokens = 512
    stop = MARKS

    def prompts(self, split: Split) -> list[Prompt]:
        check_split(split)
        rows = read_rows(locate(ORIGIN, FILE, self.data), ("ID", "Body", "Question", "Answer"))
        part = rows[:TRAIN] if split == "train" else rows[TRAIN:]
        return [word_problem(f"svamp-{r['ID']}", self.name, question(r), plain_number(r["Answer"])) for r in part]

    def score(self, prompt: Prompt, text: str) -> dict[str, float]:
        return score_number(prompt, text)

    def source(self) -> dict[str, Any]:
        return describe(ORIGIN, [locate(ORIGIN, FILE, self.data)])


def question(row: dict[str, Any]) -> str:
    """Body and question in one; the body gets its full stop."""
    body = str(row["Body"]).strip()
    return f"{body if body.endswith('.') else body + '.'} {str(row['Question']).strip()}"


def plain_number(value: float) -> str:
    """51.0 -> "51"."""
    number = Decimal(str(value))
    return str(int(number)) if number == int(number) else str(number)
