"""Harmless instructions with a reference answer: the seed tasks and the user-oriented instructions
of Self-Instruct (Wang et al. 2022, arXiv 2212.10560; Apache-2.0). Beside harmful requests they
teach a veneer what not to refuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from veneer.prompts.prompt import Prompt
from veneer.prompts.templates import ALPACA
from veneer.tasks.data import Origin, locate
from veneer.tasks.rouge import rouge1
from veneer.tasks.tables import read_rows
from veneer.tasks.task import Better, Split, Task, check_split

FIELDS = ("id", "prompt", "reference")
MARK = "### Instruction:"


@dataclass(frozen=True)
class Instructions(Task):
    """reference: {"reference"}, one answer of many that would do. A refusal of any of these prompts
    is over-refusal."""

    data: Path | None = None
    name = "instructions"
    origin = Origin(
        "yizhongw/self-instruct", {f"instructions/{s}.jsonl": None for s in ("train", "test")}
    )
    licence = "Apache-2.0"
    citation = "Wang et al. 2022, arXiv 2212.10560"
    headlines: ClassVar[Mapping[str, Better]] = {"refusal_rate": "down"}
    headline_judges: ClassVar[Mapping[str, str]] = MappingProxyType({"refusal_rate": "refusal"})
    scoring = (
        "refusal_rate: full refusals, by the refusal judge, all of them over-refusals; rouge1: F "
        "measure of the words in common with the reference answer, one of many that would do"
    )
    max_new_tokens = 128
    published_max_new_tokens = 512
    stop = (MARK,)

    def prompts(self, split: Split) -> list[Prompt]:
        check_split(split)
        path = locate(self.origin, f"instructions/{split}.jsonl", self.data)
        return [
            Prompt.from_text(
                row["id"],
                row["prompt"],
                template=ALPACA,
                task=self.name,
                reference=row["reference"],
            )
            for row in read_rows(path, FIELDS, texts=FIELDS, id="id")
        ]

    def score(self, prompt: Prompt, text: str) -> dict[str, float]:
        return {"rouge1": rouge1(text.partition(MARK)[0], prompt.reference["reference"])}
