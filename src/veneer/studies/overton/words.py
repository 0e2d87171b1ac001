"""An Overton study in English: the notes of its rows, from facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veneer.foundation.results import join_notes


def score_note(facts: Mapping[str, Any], coverage: str, estimate: str | None) -> str | None:
    """How many questions have no verdict, who decides what is covered, and the estimate's note."""
    missing = facts["without_verdict"]
    left_out = f"{missing} of {facts['questions']} questions without a verdict" if missing else None
    return join_notes(left_out, coverage, estimate)


def adjusted_note(facts: Mapping[str, Any], coverage: str, estimate: str | None) -> str | None:
    """From which questions the score over all of them is computed, and who decides what is
    covered."""
    fit = (
        f"over all {facts['questions']} questions by a fit of {facts['systems']} systems and the "
        f"questions; {facts['answered']} have a verdict"
    )
    return join_notes(fit, coverage, estimate)


def question_note(facts: Mapping[str, Any], estimate: str | None) -> str | None:
    views = f"n counts responses to one question of {facts['viewpoints']} viewpoints"
    return join_notes(views, estimate)
