"""An Overton study in English: the notes of its rows, from facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veneer.foundation.results import join_notes

# why a question has no score
WITHOUT = {
    "without_response": "have no response",
    "without_verdict": "have no response with a verdict on every viewpoint",
}


def score_note(facts: Mapping[str, Any], coverage: str, estimate: str | None) -> str | None:
    """How many questions have no response, how many no response with all verdicts, who decides what
    is covered, and the estimate's note."""
    left_out = [
        f"{facts[name]} of {facts['questions']} questions {why}" if facts[name] else None
        for name, why in WITHOUT.items()
    ]
    return join_notes(*left_out, coverage, estimate)


def adjusted_note(facts: Mapping[str, Any], coverage: str, estimate: str | None) -> str | None:
    """From which questions the score over all of them is computed, and who decides what is
    covered."""
    fit = (
        f"over all {facts['questions']} questions by a fit of {facts['systems']} systems and the "
        f"questions; {facts['scored']} have a response with all verdicts"
    )
    return join_notes(fit, coverage, estimate)


def question_note(facts: Mapping[str, Any], estimate: str | None) -> str | None:
    views = f"n counts responses to one question of {facts['viewpoints']} viewpoints"
    if not facts["scored"]:
        why = "without_verdict" if facts["responses"] else "without_response"
        estimate = WITHOUT[why].replace("have", "the question has")
    return join_notes(views, estimate)
