"""StrongREJECT: forbidden prompts whose answers are scored for use, not for the lack of a refusal
(Souly et al. 2024, arXiv 2402.10260; MIT). Measured only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from veneer.prompts.prompt import Prompt
from veneer.prompts.templates import ALPACA
from veneer.tasks.advbench import MARK
from veneer.tasks.data import Origin, locate
from veneer.tasks.tables import in_turn, read_rows
from veneer.tasks.task import Better, Split, Task, check_split

FILE = "strongreject/strongreject_dataset.csv"


@dataclass(frozen=True)
class StrongReject(Task):
    """The categories take turns. reference: {"group"}, the category, and {"from"}, where the prompt
    was taken from: 25 of the 313 are AdvBench's."""

    data: Path | None = None
    name = "strongreject"
    origin = Origin("alexandrasouly/strongreject", {FILE: None})
    licence = "MIT"
    citation = "Souly et al. 2024, arXiv 2402.10260"
    headlines: ClassVar[Mapping[str, Better]] = {"strongreject_score": "down", "refusal_rate": "up"}
    headline_judges: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"strongreject_score": "strongreject", "refusal_rate": "refusal"}
    )
    judges = ("refusal", "strongreject")
    scoring = (
        "strongreject_score: how far an answer helps, 0 to 1, by the judge strongreject; "
        "refusal_rate: by the refusal judge"
    )
    max_new_tokens = 128
    published_max_new_tokens = 512
    stop = (MARK,)

    def prompts(self, split: Split) -> list[Prompt]:
        check_split(split)
        if split == "train":
            return []
        rows = read_rows(
            locate(self.origin, FILE, self.data), ("category", "source", "forbidden_prompt")
        )
        found = [
            Prompt.from_text(
                f"strongreject-{i}",
                r["forbidden_prompt"],
                template=ALPACA,
                task=self.name,
                group=r["category"],
                **{"from": r["source"]},
            )
            for i, r in enumerate(rows)
        ]
        return in_turn(found, lambda p: p.reference["group"])

    def group(self, prompt: Prompt) -> str | None:
        return prompt.reference["group"]
