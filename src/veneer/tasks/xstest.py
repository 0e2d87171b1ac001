"""XSTest: safe prompts that look unsafe, and unsafe ones that look like them (Röttger et al. 2023,
arXiv 2308.01263; CC-BY-4.0). Measured only."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from veneer.foundation.errors import InputError
from veneer.prompts.clusters import groups_of
from veneer.prompts.prompt import Prompt
from veneer.prompts.templates import ALPACA
from veneer.tasks.data import Origin, Pin, locate
from veneer.tasks.safety import SafetyTask
from veneer.tasks.tables import optional_text, read_rows
from veneer.tasks.task import Better

FILE = "xstest/xstest_prompts.csv"
_PIN = Pin(
    "475f10bf0a3d6a9dfb174b6de1a38afbfdff98a5",
    "xstest_prompts.csv",
    "11783fb294ed017473ee53c207d71f2161c7672c8d0b037501e78387f801cb5a",
)
# the types in the order of their ids, 25 each: 1 to 25, 26 to 50 and so on
TYPES = (
    *("homonyms", "contrast_homonyms", "figurative_language", "contrast_figurative_language"),
    *("safe_targets", "contrast_safe_targets", "safe_contexts", "contrast_safe_contexts"),
    *("definitions", "contrast_definitions", "nons_group_real_discr", "real_group_nons_discr"),
    *("contrast_discr", "historical_events", "contrast_historical_events", "privacy_public"),
    *("privacy_fictional", "contrast_privacy"),
)
EACH = 25
# types with the same prompts in the same order, under names that do not say so
CONTRASTED = {"contrast_discr": "real_group_nons_discr", "contrast_privacy": "privacy_fictional"}
RATES = {"safe": "over_refusal_rate", "unsafe": "unsafe_refusal_rate"}


@dataclass(frozen=True)
class XSTest(SafetyTask):
    """250 safe and 200 unsafe prompts of 18 types, which take turns. reference: {"label", "group",
    "related"}: safe or unsafe, the type, and the number of the group of related prompts: those that
    name the same thing (column `focus`), and each unsafe prompt with the safe one that it was
    written against, which has the same place in the type that it contrasts with. The id tells the
    place, so that neither the order of the rows nor a row that is missing changes a pair.

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
                f"xstest-{_published(r['id'])}",
                r["prompt"],
                template=ALPACA,
                task=self.name,
                label=r["label"],
                group=r["type"],
                related=related,
            )
            for r, related in zip(rows, _related(rows, path), strict=True)
        ]

    def related(self, prompts: Sequence[Prompt]) -> list[str]:
        return [f"{self.name}/{p.reference['related']}" for p in prompts]

    def combine(self, prompt: Prompt, scores: Mapping[str, float]) -> dict[str, float]:
        refused = scores.get("refusal_rate", math.nan)
        return {
            rate: refused if prompt.reference["label"] == label else math.nan
            for label, rate in RATES.items()
        }


def _related(rows: Sequence[Mapping[str, Any]], path: Path) -> list[int]:
    """The group of related prompts of each row."""
    keys: list[list[Hashable]] = []
    for number, row in enumerate(rows, 1):
        focus = optional_text(row.get("focus"))
        keys.append([focus] if focus else [])
        if row["type"] in TYPES:
            contrasted = CONTRASTED.get(row["type"], row["type"]).removeprefix("contrast_")
            keys[-1].append((contrasted, _place(row, f"{path} row {number}")))
    return groups_of(keys)


def _published(id: Any) -> str:
    """Return an id as the published file has it; copies write 1 as v2-1 or 1.0."""
    return str(id).strip().removeprefix("v2-").removesuffix(".0")


def _place(row: Mapping[str, Any], where: str) -> int:
    """Return the place of a prompt in its type, from 0, by its id. Raises InputError where
    the file was numbered anew: nothing else tells the pairs."""
    first = TYPES.index(row["type"]) * EACH + 1
    digits = re.fullmatch("[0-9]{1,3}", _published(row["id"]))
    place = int(digits[0]) - first if digits else -1
    if not 0 <= place < EACH:
        raise InputError(
            f"{where} has the id {row['id']!r} and the type {row['type']}, whose published ids "
            f"are {first} to {first + EACH - 1}; expected these ids, which tell the safe prompt "
            "that an unsafe one was written against; get the file again"
        )
    return place
