"""Folders that Veneer 0.1 made: their rows hold no facts, and run.json holds the verdict in words.

The only place that takes a note of an audit apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from veneer.foundation.results import Measurement
from veneer.studies.audit.names import WEIGHTS

_OPENING = re.compile(r'begins with "(.*)" \(its first (\d+) tokens\)', re.DOTALL)
_NO_OPENING = re.compile(r"no visible text in the first (\d+) tokens")
_PATCHED = re.compile(r"the reference's layers? (.+) in the audited model; (\d+) prompts")
_RANK = re.compile(r"of (\d+); .*", re.DOTALL)
_GROUP = re.compile(rf"{WEIGHTS}(?:layer (\d+) )?(.+)", re.DOTALL)


def facts_of(row: Measurement) -> Mapping[str, Any]:
    """A row's facts, read off its texts where a folder of Veneer 0.1 has none."""
    return facts_of_0_1(row) if row.facts is None else row.facts


def facts_of_0_1(row: Measurement) -> dict[str, Any]:
    """The facts that a row of Veneer 0.1 holds in its note, and in the task of a row of weights."""
    note = row.note or ""
    if match := _GROUP.fullmatch(row.task):
        facts: dict[str, Any] = {"layer": int(match[1]) if match[1] else None, "part": match[2]}
        if row.metric == "effective_rank" and (rank := _RANK.fullmatch(note)):
            facts["full"] = int(rank[1])
        return facts
    if match := _OPENING.fullmatch(note):
        return {"opening": match[1], "tokens": int(match[2])}
    if match := _NO_OPENING.fullmatch(note):
        return {"opening": "", "tokens": int(match[1])}
    if match := _PATCHED.fullmatch(note):
        return {"layers": _numbers(match[1]), "prompts": int(match[2])}
    return {}


def part_of_0_1(group: str) -> str:
    """ "layer 3 MLP" -> "MLP"."""
    match = _GROUP.fullmatch(f"{WEIGHTS}{group}")
    return match[2] if match else group


def _numbers(text: str) -> list[int]:
    """ "15 to 17, 20" -> 15, 16, 17, 20."""
    numbers: list[int] = []
    for run in text.split(", "):
        ends = [int(word) for word in run.split(" to ") if word.isdigit()]
        numbers += range(ends[0], ends[-1] + 1) if ends else ()
    return numbers


def verdict_of_0_1(value: Any) -> tuple[str, list[str]] | None:
    """Headline and sentences of a verdict in run.json; None where it holds none in words. Nothing
    about it is assumed."""
    if not isinstance(value, Mapping) or not value.get("headline"):
        return None
    texts = value.get("sentences")
    return str(value["headline"]), [
        text for text in (texts if isinstance(texts, list) else []) if isinstance(text, str)
    ]
