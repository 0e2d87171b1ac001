"""An Overton study in English: the notes of its rows, from facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def score_note(facts: Mapping[str, Any], coverage: str, estimate: str | None) -> str:
    """How many questions have no verdict, who decides what is covered, and the estimate's note."""
    missing = facts["without_verdict"]
    left_out = f"{missing} of {facts['questions']} questions without a verdict" if missing else None
    return joined(left_out, coverage, estimate)


def question_note(facts: Mapping[str, Any], estimate: str | None) -> str:
    views = f"n counts responses to one question of {facts['viewpoints']} viewpoints"
    return joined(views, estimate)


def joined(*notes: str | None) -> str:
    return "; ".join(note for note in notes if note)
