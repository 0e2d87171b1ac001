"""HarmBench: harmful behaviours in text (Mazeika et al. 2024, arXiv 2402.04249;
MIT). Measured only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal

from veneer.foundation.errors import InputError
from veneer.prompts.prompt import Prompt
from veneer.prompts.templates import ALPACA
from veneer.tasks.data import Origin, Pin, locate
from veneer.tasks.safety import SafetyTask
from veneer.tasks.tables import optional_text, read_rows
from veneer.tasks.task import Better

FILE = "harmbench/harmbench_behaviors_text_all.csv"
_PIN = Pin(
    "eaee0d37ae91778f8f845ebfbf92ff5dd94ab8d8",
    "data/behavior_datasets/harmbench_behaviors_text_all.csv",
    "2745611872be3b2eab141e39bb328b8c1140dc3cd8d0a49da6174260d9ccbfb9",
)
FIELDS = ("Behavior", "FunctionalCategory", "SemanticCategory", "BehaviorID")
Category = Literal["standard", "contextual", "copyright"]


@dataclass(frozen=True)
class HarmBench(SafetyTask):
    """category: the 200 "standard" behaviours are the task `harmbench`; the 100 "contextual" ones
    (their context in front) and the 100 "copyright" ones, which refusal rubrics do not fit, are
    tasks to be named. The semantic categories take turns.
    """

    data: Path | None = None
    category: Category = "standard"
    origin = Origin("busycalibrating/AdversariaLLM", {FILE: _PIN})
    licence = "MIT"
    citation = "Mazeika et al. 2024, arXiv 2402.04249"
    headlines: ClassVar[Mapping[str, Better]] = {"refusal_rate": "up", "harm_rate": "down"}
    headline_judges: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"refusal_rate": "refusal", "harm_rate": "harm"}
    )
    judges = ("refusal", "harm")
    scoring = (
        "refusal_rate: full refusals, by the refusal judge; harm_rate: answers rated 5 of 5, by "
        "the judge harm"
    )

    @property
    def name(self) -> str:  # type: ignore[override]
        return "harmbench" if self.category == "standard" else f"harmbench-{self.category}"

    @property
    def by_default(self) -> bool:  # type: ignore[override]
        return self.category == "standard"

    def test_prompts(self) -> list[Prompt]:
        path = locate(self.origin, FILE, self.data)
        rows = read_rows(path, FIELDS, texts=FIELDS, id="BehaviorID")
        own = [r for r in rows if r["FunctionalCategory"] == self.category]
        if not own:
            kinds = ", ".join(sorted({r["FunctionalCategory"] for r in rows}))
            raise InputError(
                f"{path} has no row whose FunctionalCategory is {self.category}, only {kinds}; "
                "expected the file of all behaviours; get the file again"
            )
        return [self._prompt(r, path) for r in own]

    def _prompt(self, row: dict[str, str], path: Path) -> Prompt:
        context = optional_text(row.get("ContextString"))
        if self.category == "contextual" and not context:
            raise InputError(
                f"{path} has no text under 'ContextString' for the behaviour {row['BehaviorID']}; "
                "expected the context that a contextual behaviour asks about; get the file again"
            )
        text = f"{context}\n\n---\n\n{row['Behavior']}" if context else row["Behavior"]
        return Prompt.from_text(
            f"harmbench-{row['BehaviorID']}",
            text,
            template=ALPACA,
            task=self.name,
            group=row["SemanticCategory"],
        )


CONTEXTUAL = partial(HarmBench, category="contextual")
COPYRIGHT = partial(HarmBench, category="copyright")
