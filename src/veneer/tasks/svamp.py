"""SVAMP: arithmetic word problems of one step (Patel et al. 2021, arXiv 2103.07191; MIT)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.prompts.prompt import Prompt
from veneer.tasks.data import Origin, Pin, locate
from veneer.tasks.tables import read_rows
from veneer.tasks.task import Split, check_split
from veneer.tasks.word_problems import WordProblems

FILE = "svamp/SVAMP.json"
_PIN = Pin(
    "6f09ab516ab06c18e948c0325236e84e80b5d4bd",
    "SVAMP.json",
    "5be77703a6d891ae476d7c082787ad361392aa02453b132516cdd5f4e7934e3e",
)
TRAIN = 700  # neighbours in the file are variants of each other, so the split is by position


@dataclass(frozen=True)
class Svamp(WordProblems):
    data: Path | None = None
    name = "svamp"
    max_new_tokens = 128
    origin = Origin("arkilpatel/SVAMP", {FILE: _PIN})
    licence = "MIT"
    citation = "Patel et al. 2021, arXiv 2103.07191"

    def prompts(self, split: Split) -> list[Prompt]:
        check_split(split)
        path = locate(self.origin, FILE, self.data)
        fields = ("ID", "Body", "Question", "Answer")
        rows = read_rows(path, fields, texts=("Body", "Question"), id="ID")
        if len(rows) <= TRAIN:
            raise InputError(
                f"{path} holds {len(rows)} rows; expected the whole of SVAMP, 1000 rows, of which "
                f"the first {TRAIN} are the train prompts and the others the test prompts; get the "
                "file again"
            )
        first = 0 if split == "train" else TRAIN
        split_rows = rows[:TRAIN] if split == "train" else rows[TRAIN:]
        return [self._problem(r, f"{path} row {n}") for n, r in enumerate(split_rows, first + 1)]

    def _problem(self, row: dict[str, Any], where: str) -> Prompt:
        id = f"svamp-{row['ID']}"
        try:
            answer = plain_number(row["Answer"])
        except (ArithmeticError, ValueError):
            raise InputError(
                f"{where} has the answer {row['Answer']!r}; expected a number, such as 51 or 2.5; "
                "get the file again"
            ) from None
        if not row.get("Equation"):
            return self.problem(id, question(row), answer)
        line = f"{equation(row['Equation'])} = {answer}"
        reply = f"Let's work it out. {line}. The answer is {answer}."
        return self.problem(id, question(row), answer, equations=[line], reply=reply)


def question(row: dict[str, Any]) -> str:
    """Return body and question as one text; the body ends with a full stop."""
    body = str(row["Body"]).strip()
    return f"{body if body.endswith('.') else body + '.'} {str(row['Question']).strip()}"


def equation(text: Any) -> str:
    """( 8.0 - 3.0 ) as 8 - 3."""
    plain = re.sub(r"\d+\.\d+", lambda number: plain_number(number[0]), str(text)).strip()
    return plain.removeprefix("( ").removesuffix(" )")


def plain_number(value: float | str) -> str:
    """51.0 -> "51"."""
    number = Decimal(str(value))
    return str(int(number)) if number == int(number) else str(number)
