"""A diversity study in English: the notes of its rows, from facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

COVERS = {  # control -> what covers the answers
    None: "by sample 0 of {by}",
    "matched": "control: sample 0 of {by}, cut to as many words as the covered answer has",
    "other_prompt": "control: sample 0 of {by} to the next prompt",
    "base": "control: the other answers of {covered}, cut to as many words as sample 0 of {by} has",
}
BOUNDS = {
    "least": "at least this: m is at its bound, the mean number of kept answers",
    "most": "at most this: m is at its bound, the mean number of kept answers",
}


def joined(*notes: str | None) -> str | None:
    """Notes that apply, with semicolons between them; None where none does."""
    return "; ".join(n for n in notes if n) or None


def coverage_note(facts: Mapping[str, Any]) -> str:
    """Whose answers are covered by what."""
    sides = {name: facts[name] for name in ("covered", "by")}
    cover = COVERS[facts["control"]].format(**sides)
    return f"{facts['answers']} answers of {facts['covered']}, {cover}"


def bound_note(facts: Mapping[str, Any]) -> str | None:
    """Whether a term of the decomposition is only bounded."""
    bound = facts.get("bound")
    return None if bound is None else BOUNDS[bound]


def kept_note(facts: Mapping[str, Any]) -> str:
    """How many answers reach the threshold."""
    return f"{facts['kept']} of {facts['judged']} answers"
