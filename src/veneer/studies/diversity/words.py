"""A diversity study in English: the notes of its rows, from facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veneer.foundation.results import Measurement, join_notes

COVERS = {  # control -> what covers the answers
    None: "by sample 0 of {by}",
    "matched": "control: sample 0 of {by}, cut to as many words as the covered answer has",
    "other_prompt": "control: sample 0 of {by} to the next prompt",
    "base": "control: the other answers of {covered}, cut to as many words as sample 0 of {by} has",
    "own_first": "control: sample 0 of {covered}, which covers its other answers",
}
BOUNDS = {
    "least": "at least this: m is at its bound, the mean number of kept answers",
    "most": "at most this: m is at its bound, the mean number of kept answers",
}


UNIONS = {
    "fresh": (
        "if aligned answers unite fresh base answers; where they repeat one union, aggregation is "
        "too small and the rest too large"
    ),
    "repeated": "if aligned answers repeat one union of what base says",
}


def coverage_note(facts: Mapping[str, Any]) -> str:
    """Whose answers are covered by what."""
    sides = {name: facts[name] for name in ("covered", "by")}
    cover = COVERS[facts["control"]].format(**sides)
    return f"{facts['answers']} answers of {facts['covered']}, {cover}"


def bound_note(facts: Mapping[str, Any]) -> str | None:
    """Whether a term of the decomposition is only bounded."""
    bound = facts.get("bound")
    return None if bound is None else BOUNDS[bound]


def unions_note(facts: Mapping[str, Any]) -> str | None:
    """What a term of the decomposition takes for granted about the aligned answers' unions."""
    unions = facts.get("unions")
    return None if unions is None else UNIONS[unions]


def kept_note(facts: Mapping[str, Any]) -> str:
    """How many answers reach the threshold."""
    return f"{facts['kept']} of {facts['judged']} answers"


def no_verdict_note(facts: Mapping[str, Any]) -> str | None:
    """How many judge outputs gave no verdict, and why; None where all gave one."""
    failed = facts.get("no_verdict")
    if not failed:
        return None
    kinds = ", ".join(sorted(failed))
    return f"{sum(failed.values())} of {facts['outputs']} judge outputs gave no verdict: {kinds}"


def quality_note(facts: Mapping[str, Any]) -> str | None:
    return join_notes(f"{facts['answers']} answers", no_verdict_note(facts))


def added_note(facts: Mapping[str, Any]) -> str | None:
    """What the answers of B are judged to add to those of A."""
    share = f"{facts['count']:g} of {facts['total']:g}, " if "total" in facts else ""
    sides = f"A is {facts['reference']}, B {facts['alternative']}"
    if "score" in facts:
        sides += f"; those with {facts['aspect']} {facts['score']}"
    return join_notes(f"{share}{facts['answers']} judged answers; {sides}", no_verdict_note(facts))


def filtered_stances_note(facts: Mapping[str, Any]) -> str | None:
    """How many answers with a stance reach the threshold, on the prompts that keep two."""
    if not facts["answers"]:
        return "no prompt keeps two answers with a stance"
    return f"{facts['answers']} answers with {facts['aspect']} of {facts['threshold']:g} or more"


def samples_note(facts: Mapping[str, Any]) -> str | None:
    """How many answers a system's own measure rests on, or why it rests on none."""
    if not facts["prompts"]:
        least = {None: "", 1: " with words"}
        number = facts.get("least_words")
        return "no prompt has two answers" + least.get(number, f" of {number} words or more")
    samples = facts.get("samples")
    return None if samples is None else f"{samples} answers per prompt"


def drop_remark(drop: Measurement) -> str | None:
    """What must be known before the terms of a drop are read: whether diversity drops at all. None
    where the interval of the drop lies above 0."""
    open_text = "whether diversity drops from base to aligned is not determined: the drop has"
    if drop.low is None or drop.high is None:
        return f"{open_text} no interval"
    if drop.low <= 0 <= drop.high:
        return f"{open_text} an interval that holds 0"
    if drop.high < 0:
        return "diversity rises from base to aligned, so that there is no drop to explain"
    return None
