"""A complexity study in English, from facts."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

VIEWS = {
    "empty": "the empty program",
    "head": "a low-rank change of the LM head",
    "text": "a prompt in front of every query",
    "lora": "an adapter of every layer but the head",
    "data": "examples that the decoder trains on",
    "shuffled": "control: a head fitted to hidden states shuffled within a response position",
    "bias": "control: a constant per row of the head",
}
REASONS = {
    "too_long": "base cannot read its {tokens} tokens beside a query and an answer",
    "decodes_to_something_else": "its decoder does not give back what was encoded",
    "zero_veneer": "the veneer is zero: there is nothing to code",
}
LIMITS = {
    "value": "no program reaches the score",
    "low": "no interval reaches it",
    "high": "no interval lies above it",
}


def view_words(facts: Mapping[str, Any]) -> str:
    """What a program is, with its settings."""
    text = VIEWS.get(str(facts.get("view")), str(facts.get("view")))
    if facts.get("given") == "aligned":
        text += ", which may call the aligned model"
    parts = [f"{k} {facts[k]:g}" for k in ("rank", "step", "examples") if k in facts]
    if facts.get("coder") == "model":
        parts.append("coded by base, which only this build decodes")
    elif facts.get("coder") == "lzma":
        parts.append("packed by LZMA")
    if facts.get("published") == "static":
        parts.append("published formula under base itself, not under the model in training")
    return "; ".join([text, *parts])


def least_note(facts: Mapping[str, Any]) -> str:
    """How many programs there were, and which limit none of them reaches."""
    missing = [LIMITS[k] for k in facts["not_reached"]]
    return "; ".join([f"least bits among {facts['points']} programs, decoders counted", *missing])


def left_out(facts: Mapping[str, Any]) -> str:
    """A program that is in no row, and why."""
    reason = REASONS.get(str(facts.get("reason")), str(facts.get("reason")))
    with contextlib.suppress(KeyError):
        reason = reason.format(**facts)
    return f"{facts.get('view', '')} {facts.get('label', '')}: {reason}"


def bytes_words(bits: float | None) -> str:
    """Whole bytes of a number of bits."""
    return "none" if bits is None else f"{bits / 8:,.0f}"


def target_words(of: str) -> str:
    """refusal_rate>=0.9,well_formed>=0.9 -> refusal rate and well formed at 0.9 or more."""
    parts = [part.partition(">=") for part in of.split(",")]
    names = " and ".join(name.replace("_", " ") for name, _, _ in parts)
    return f"{names} at {parts[0][2]} or more"
