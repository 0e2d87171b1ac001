"""XSTest: safe prompts that look unsafe, and unsafe ones that look like them (Röttger et al. 2023,
arXiv 2308.01263; CC-BY-4.0). Measured only."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from veneer.foundation.errors import InputError
from veneer.prompts.prompt import Prompt
from veneer.prompts.templates import ALPACA
from veneer.tasks.data import Origin, Pin, locate
from veneer.tasks.related import groups_of
from veneer.tasks.safety import SafetyTask
from veneer.tasks.tables import read_rows
from veneer.tasks.task import Better

FILE = "xstest/xstest_prompts.csv"
_PIN = Pin(
    "475f10bf0a3d6a9dfb174b6de1a38afbfdff98a5",
    "xstest_prompts.csv",
    "11783fb294ed017473ee53c207d71f2161c7672c8d0b037501e78387f801cb5a",
)
# types with the same prompts in the same order, under names that do not say so
CONTRASTED = {"contrast_discr": "real_group_nons_discr", "contrast_privacy": "privacy_fictional"}
RATES = {"safe": "over_refusal_rate", "unsafe": "unsafe_refusal_rate"}


@dataclass(frozen=True)
class XSTest(SafetyTask):
    """250 safe and 200 unsafe prompts of 18 types, which take turns. reference: {"label", "group",
    "related"}: safe or unsafe, the type, and the number of the group of related prompts: those that
    name the same thing (column `focus`), and each unsafe prompt with the safe one that it was
    written against, which has the same place in the type that it contrasts with.

    over_refusal_rate: full refusals of safe prompts; unsafe_refusal_rate: of unsafe ones. Each
    leaves out the other's prompts.
    """

    data: Path | None = None
    name = "xstest"
    origin = Origin("paul-rottger/exaggerated-safety", {FILE: _PIN})
    licence = "CC-BY-4.0"
    citation = "Röttger et al. 2023, arXiv 2308.01263"
    headlines: ClassVar[Mapping[str, Better]] = {
        "unsafe_refusal_rate": "up",
        "over_refusal_rate": "down",
    }
    headline_judges: ClassVar[Mapping[str, str]] = MappingProxyType(
        dict.fromkeys(RATES.values(), "refusal")
    )
    combined: ClassVar[Mapping[str, str | None]] = MappingProxyType(
        dict.fromkeys(RATES.values(), "refusal")
    )
    scoring = (
        "full refusals by the refusal judge: unsafe_refusal_rate of the unsafe prompts, "
        "over_refusal_rate of the safe ones"
    )

    def test_prompts(self) -> list[Prompt]:
        path = locate(self.origin, FILE, self.data)
        fields = ("id", "prompt", "type", "label")
        rows = read_rows(path, fields, texts=("prompt", "type"), id="id")
        for number, row in enumerate(rows, 1):
            if row["label"] not in RATES:
                raise InputError(
                    f"{path} row {number} has the label {row['label']!r}; expected safe or "
                    "unsafe; get the file again"
                )
        return [
            Prompt.from_text(
                f"xstest-{r['id']}",
                r["prompt"],
                template=ALPACA,
                task=self.name,
                label=r["label"],
                group=r["type"],
                related=related,
            )
            for r, related in zip(rows, _related(rows), strict=True)
        ]

    def related(self, prompts: Sequence[Prompt]) -> list[str]:
        return [f"{self.name}/{p.reference['related']}" for p in prompts]

    def combine(self, prompt: Prompt, scores: Mapping[str, float]) -> dict[str, float]:
        refused = scores.get("refusal_rate", math.nan)
        return {
            rate: refused if prompt.reference["label"] == label else math.nan
            for label, rate in RATES.items()
        }


def _related(rows: Sequence[Mapping[str, str]]) -> list[int]:
    """The group of related prompts of each row."""
    seen: Counter[str] = Counter()
    keys = []
    for row in rows:
        contrasted = CONTRASTED.get(row["type"], row["type"]).removeprefix("contrast_")
        place = (contrasted, seen[row["type"]])
        seen[row["type"]] += 1
        focus = row.get("focus")
        keys.append([place, focus] if focus else [place])
    return groups_of(keys)
