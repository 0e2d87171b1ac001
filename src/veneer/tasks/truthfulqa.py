"""TruthfulQA: questions that invite a common error (Lin et al. 2022, arXiv 2109.07958; Apache-2.0), in the split of
Chen et al. 2025. Prompts only: whether an answer is true and informative takes judge models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from veneer.prompts import Prompt
from veneer.tasks.data import Origin, Pin, describe, locate
from veneer.tasks.tables import read_rows
from veneer.tasks.task import Better, Split, Task, check_split

_COMMIT = "8715b6bfb1e1030b4779737d53312581a988170f"
_HASHES = {
    "train": "d040c1ac27797f9b7edcf9e8b7eee82e321109bb4a48a8219b2d42234369239f",
    "test": "6d6befec0c0d3523709e45c9b970acd1360e2b7a4c5500b5b6628c19790f846b",
}
ORIGIN = Origin(
    "VITA-Group/Superficial_Alignment",
    {f"truthfulqa/{s}.csv": Pin(_COMMIT, f"data/truthfulqa/{s}.csv", h) for s, h in _HASHES.items()},
)
FIELDS = ("Question", "Best Answer", "Correct Answers", "Incorrect Answers")


@dataclass(frozen=True)
class TruthfulQA(Task):
    data: Path | None = None
    name = "truthfulqa"
    headlines: ClassVar[Mapping[str, Better]] = {"refusal_rate": "down"}
    max_new_tokens = 50
    published_max_new_tokens = 50
    stop = ("\n\n", "Comment:")
    needs_judge = True

    def prompts(self, split: Split) -> list[Prompt]:
        check_split(split)
        rows = read_rows(locate(ORIGIN, f"truthfulqa/{split}.csv", self.data), FIELDS)
        return [
            Prompt.from_text(
                f"truthfulqa-{split}-{i}",
                r["Question"],
                plain=f"{r['Question']}\n\nAnswer:",
                task=self.name,
                best=r["Best Answer"],
                correct=[a.strip() for a in r["Correct Answers"].split(";")],
                incorrect=[a.strip() for a in r["Incorrect Answers"].split(";")],
            )
            for i, r in enumerate(rows)
        ]

    def source(self) -> dict[str, Any]:
        return describe(ORIGIN, [locate(ORIGIN, name, self.data) for name in ORIGIN.files])
