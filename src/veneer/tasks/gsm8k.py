"""GSM8K: grade-school mathematics (Cobbe et al. 2021, arXiv 2110.14168; MIT)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from veneer.foundation.errors import InputError
from veneer.prompts.prompt import Prompt
from veneer.tasks.data import Origin, Pin, locate
from veneer.tasks.numbers import last_number
from veneer.tasks.tables import read_rows
from veneer.tasks.task import Split, check_split
from veneer.tasks.word_problems import WordProblems

FIELDS = ("question", "answer")
_COMMIT = "3101c7d5072418e28b9008a6636bde82a006892c"
_HASHES = {
    "train": "17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465",
    "test": "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14",
}


@dataclass(frozen=True)
class Gsm8k(WordProblems):
    data: Path | None = None
    name = "gsm8k"
    max_new_tokens = 512  # the sum needs its lines
    origin = Origin(
        "openai/grade-school-math",
        {
            f"gsm8k/{s}.jsonl": Pin(_COMMIT, f"grade_school_math/data/{s}.jsonl", h)
            for s, h in _HASHES.items()
        },
    )
    licence = "MIT"
    citation = "Cobbe et al. 2021, arXiv 2110.14168"

    def prompts(self, split: Split) -> list[Prompt]:
        check_split(split)
        path = locate(self.origin, f"gsm8k/{split}.jsonl", self.data)
        rows = read_rows(path, FIELDS, texts=FIELDS)
        return [
            self.problem(
                f"gsm8k-{split}-{i}",
                r["question"],
                _answer(path, i + 1, r["answer"]),
                equations=re.findall(r"<<(.*?)>>", r["answer"]),
                reply=re.sub(r"<<.*?>>", "", r["answer"]),
            )
            for i, r in enumerate(rows)
        ]


def _answer(path: Path, row: int, text: str) -> str:
    """Return the number behind ####."""
    number = last_number(text.rpartition("####")[2]) if "####" in text else None
    if number is None:
        raise InputError(
            f"{path} row {row} has no number after ####; expected GSM8K's answers; get the "
            "file again"
        )
    return str(number)
