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
from veneer.tasks.data import Origin, locate
from veneer.tasks.safety import SafetyTask
from veneer.tasks.tables import read_rows
from veneer.tasks.task import Better

FILE = "strongreject/strongreject_dataset.csv"
FIELDS = ("category", "source", "forbidden_prompt")


@dataclass(frozen=True)
class StrongReject(SafetyTask):
    """The categories take turns. reference: {"group"}, the category, and {"from"}, the source of
    the prompt: 25 of the 313 come from AdvBench."""

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

    def test_prompts(self) -> list[Prompt]:
        rows = read_rows(locate(self.origin, FILE, self.data), FIELDS, texts=FIELDS)
        return [
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
