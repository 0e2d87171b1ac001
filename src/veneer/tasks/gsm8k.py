"""GSM8K: grade-school mathematics (Cobbe et al. 2021, arXiv 2110.14168; MIT)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from veneer.errors import InputError
from veneer.prompts import Prompt
from veneer.tasks.data import Origin, Pin, describe, locate
from veneer.tasks.numbers import last_number
from veneer.tasks.tables import read_rows
from veneer.tasks.task import Better, Split, Task, check_split
from veneer.tasks.word_problems import MARKS, score_number, word_problem

_COMMIT = "3101c7d5072418e28b9008a6636bde82a006892c"
_HASHES = {
    "train": "17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465",
    "test": "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14",
}
ORIGIN = Origin(
    "openai/grade-school-math",
    {f"gsm8k/{s}.jsonl": Pin(_COMMIT, f"grade_school_math/data/{s}.jsonl", h) for s, h in _HASHES.items()},
)


@dataclass(frozen=True)
class Gsm8k(Task):
    data: Path | None = None
    name = "gsm8k"
    headlines: ClassVar[Mapping[str, Better]] = {"accuracy": "up", "accuracy_strict": "up"}
    max_new_tokens = 512  # the sum needs its lines
    published_max_new_tokens = 512
    stop = MARKS

    def prompts(self, split: Split) -> list[Prompt]:
        check_split(split)
        path = locate(ORIGIN, f"gsm8k/{split}.jsonl", self.data)
        rows = read_rows(path, ("question", "answer"))
        return [
            word_problem(f"gsm8k-{split}-{i}", self.name, r["question"], _answer(path, i + 1, r["answer"]))
            for i, r in enumerate(rows)
        ]

    def score(self, prompt: Prompt, text: str) -> dict[str, float]:
        return score_number(prompt, text)

    def source(self) -> dict[str, Any]:
        return describe(ORIGIN, [locate(ORIGIN, name, self.data) for name in ORIGIN.files])


def _answer(path: Path, row: int, text: str) -> str:
    """The number after ####."""
    found = last_number(text.rpartition("####")[2]) if "####" in text else None
    if found is None:
        raise InputError(f"{path} row {row} has no number after ####; expected GSM8K's answers; get the file again")
    return str(found)
