"""A recovery study in English: the notes of its rows, and what the page says, from facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veneer.foundation.results import join_notes
from veneer.statistics import reasons
from veneer.studies.recovery.equivalence import FEW_PROMPTS, LEAST, NO_DISTANCE

ORACLES = {  # what an oracle has seen
    "teacher-answer": "oracle: it has seen the teacher's answer to the test prompt",
    "teacher-summary": "oracle: it has seen a summary of the teacher's answer to the test prompt",
    "test-answers": "oracle: it has seen the test answers",
}
COUNTED = "counted, not estimated: no interval"
CEILING = "ceiling: the teacher's other samples against its sample 0"
SIDES = {"below": "below the ceiling", "above": "above the ceiling"}
NO_REASON = "no reason given"
REASONS = {
    NO_DISTANCE: (
        "the ceiling is not above base beyond chance, so there is no distance to take a share of"
    )
}


def oracle(facts: Mapping[str, Any]) -> str | None:
    seen = facts.get("oracle")
    return None if seen is None else ORACLES.get(seen, f"oracle: {seen}")


def similarity_note(facts: Mapping[str, Any], measure: str | None) -> str | None:
    """measure: what a reader must know of the measure itself."""
    candidates = facts.get("best_of")
    best = None if candidates is None else f"expected best of {candidates} candidates"
    return join_notes(best, CEILING if facts.get("ceiling") else None, oracle(facts), measure)


def portion_note(facts: Mapping[str, Any]) -> str | None:
    return join_notes(undefined(facts), oracle(facts))


def gap_note(facts: Mapping[str, Any]) -> str | None:
    return join_notes(verdict_sentence(facts), oracle(facts))


def answers_note(facts: Mapping[str, Any]) -> str | None:
    missing = facts.get("missing")
    lost = f"{missing} of {facts['expected']} answers are missing" if missing else None
    return join_notes(lost, COUNTED, oracle(facts))


def examples_note(facts: Mapping[str, Any]) -> str | None:
    return join_notes(
        f"{dropped(facts)}: prompt and answer would not fit" if facts.get("dropped") else None,
        COUNTED,
        oracle(facts),
    )


def dropped(facts: Mapping[str, Any]) -> str:
    """The examples left out of a system's prompts."""
    return (
        f"{facts['dropped']} examples dropped on {facts['dropped_prompts']} of "
        f"{facts['prompts']} prompts"
    )


def undefined(facts: Mapping[str, Any]) -> str | None:
    """Why a system has no place on the scale; None where it has one."""
    reason = dict(facts.get("reason") or {})
    code = reason.pop("code", None)
    if code == FEW_PROMPTS:
        return few_prompts(reason["prompts"])
    if code in reasons.TEXTS:
        return reasons.Reason.of(code, **reason).text
    return reason.get("text")


def few_prompts(prompts: int) -> str:
    alike = ", and prompts of one cluster count as one" if prompts >= LEAST else ""
    needed = f"at least {LEAST} are needed{alike}"
    return f"{prompts} prompts have all of system, base and ceiling; {needed}"


def verdict_reason(facts: Mapping[str, Any]) -> str | None:
    """Why the equivalence test has no verdict; None where it has one."""
    reason = facts.get("verdict_reason")
    return few_prompts(facts["prompts"]) if reason == FEW_PROMPTS else REASONS.get(str(reason))


def verdict(facts: Mapping[str, Any]) -> str:
    """A verdict in short: equivalent, different (below the ceiling), undecided."""
    side = facts.get("side")
    return f"{facts.get('verdict', '')}{f' ({SIDES[side]})' if side in SIDES else ''}"


def verdict_sentence(facts: Mapping[str, Any]) -> str:
    """A verdict with its margin and p values."""
    if reason := verdict_reason(facts):
        return f"undecided: {reason}"
    return (
        f"{verdict(facts)}: margin {facts['margin']:.4g}, one-sided p {facts['p_low']:.3g} (too "
        f"low) and {facts['p_high']:.3g} (too high), {facts['p']:.3g} after Holm over "
        f"{facts['family']}; p of no difference {facts['p_difference']:.3g}"
    )


def margin(share: float, absolute: float | None) -> str:
    """The margin of the equivalence test."""
    if absolute is not None:
        return f"{absolute:g} in each measure's unit"
    return f"{share:.0%} of the distance from base to ceiling"
