"""Folders of Veneer 0.1: their rows have no facts, which stand in notes and in systems' names. This
is the only place that takes them apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veneer.foundation.results import Measurement
from veneer.foundation.system_id import SystemId

VERDICTS = {
    "restored": "restored",
    "partly restored": "partly_restored",
    "not restored": "not_restored",
}
BELOW_ALIGNED = "it refuses less than the aligned model, beyond the interval"
PLAIN_TEXT = " was hardly there to lose, so plain text decides"


def facts_of(row: Measurement) -> Mapping[str, Any]:
    """The facts of a row of this study, also of one that Veneer 0.1 wrote."""
    return facts_of_0_1(row) if row.facts is None else row.facts


def facts_of_0_1(row: Measurement) -> dict[str, Any]:
    """The facts that Veneer 0.1 wrote into the row's note and its system's name."""
    note = row.note or ""
    if row.metric == "restored":
        return _verdict(note)
    if row.metric == "chosen":
        name, _, rule = note.partition(": ")
        identity = SystemId.from_name(name)
        settings = {"alpha": identity.get("alpha"), "rank": identity.get("rank")}
        return {"candidate": name, **settings, "rule": {"text": rule}}
    if row.metric == "loss":
        identity = SystemId.from_name(row.system)
        alpha = identity.get("alpha")
        return {
            "alpha": alpha,
            "rank": identity.get("rank"),
            "constant": alpha is not None and not any(sign in alpha for sign in "@>~"),
        }
    if row.metric == "lost_refusals":
        return {"broken": not note, "lost": "nothing" if note else "refusals"}
    return {}


def _verdict(note: str) -> dict[str, Any]:
    """The note was "WORD: REASON; REASON – FIGURES" or "WORD; REMARK – FIGURES"."""
    head = note.partition(" – ")[0]
    word = head.partition(":")[0].partition(";")[0]
    reasons = head.removeprefix(word).lstrip(":; ")
    facts: dict[str, Any] = {"verdict": VERDICTS.get(word, word), "failed": []}
    if facts["verdict"] == "not_restored" or facts["verdict"] not in VERDICTS.values():
        facts["failed"] = [{"reason": "text", "text": reasons}] if reasons else []
        return facts
    facts["below_aligned"] = BELOW_ALIGNED in reasons
    facts["plain_text_decides"] = reasons.endswith(PLAIN_TEXT)
    if facts["plain_text_decides"]:
        capability = reasons.removesuffix(PLAIN_TEXT).rpartition("; ")[2]
        metric, _, tasks = capability.partition(" on ")
        facts["capability"] = {"metric": metric, "tasks": tasks.split("+") if tasks else []}
    return facts
