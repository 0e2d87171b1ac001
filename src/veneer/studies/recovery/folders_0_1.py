"""Folders that Veneer 0.1 made: their rows hold no facts.

The only place that takes a note of a recovery study apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from veneer.foundation.results import Measurement

_ORACLES = {
    "oracle: it has seen the teacher's answer to the test prompt": "teacher-answer",
    "oracle: it has seen a summary of the teacher's answer to the test prompt": "teacher-summary",
    "oracle: it has seen the test answers": "test-answers",
}
_ORACLE = re.compile(r"(?:; )?(oracle: .*)", re.DOTALL)
_VERDICT = re.compile(
    r"(equivalent|different|undecided)(?: \((below|above) the ceiling\))?: (.*)", re.DOTALL
)
_DROPPED = re.compile(r"(\d+) examples dropped on (\d+) of (\d+) prompts")


def facts_of(row: Measurement) -> Mapping[str, Any]:
    """A row's facts, read off its note where a folder of Veneer 0.1 has none."""
    return facts_of_0_1(row) if row.facts is None else row.facts


def facts_of_0_1(row: Measurement) -> dict[str, Any]:
    """The facts that a row of Veneer 0.1 tells in its note. A reason stays in its words."""
    note = row.note or ""
    facts: dict[str, Any] = {}
    if match := _ORACLE.search(note):
        facts["oracle"] = _ORACLES.get(match[1], match[1].removeprefix("oracle: "))
        note = note[: match.start()]
    if row.metric == "gap_to_ceiling" and (match := _VERDICT.fullmatch(note)):
        facts |= {"verdict": match[1], "side": match[2]}
    elif row.metric == "portion" and row.value is None and note:
        facts["reason"] = {"code": "text", "text": note}
    elif row.metric == "examples" and (match := _DROPPED.match(note)):
        facts |= dict(
            zip(("dropped", "dropped_prompts", "prompts"), map(int, match.groups()), strict=True)
        )
    return facts
