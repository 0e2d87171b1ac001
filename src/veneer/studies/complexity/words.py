"""A complexity study in English, from facts."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from veneer.foundation.results import Measurement

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


def interval_words(low: float | None, high: float | None) -> str:
    """The interval of least bits; a limit that no program reaches is said, since it is no
    number."""
    if low is None:
        return "no interval reaches the score"
    if high is None:
        return f"{bytes_words(low)} or more, no upper limit"
    return f"{bytes_words(low)} to {bytes_words(high)}"


def target_words(of: str) -> str:
    """kl_recovered>=0.5 -> recovers 0.5 or more of the KL; refusal_rate>=0.9,well_formed>=0.9 ->
    reaches refusal rate 0.9 or more and well formed 0.9 or more."""
    conditions = [condition.partition(">=") for condition in of.split(",")]
    if [name for name, _, _ in conditions] == ["kl_recovered"]:
        return f"recovers {conditions[0][2]} or more of the KL"
    scores = (f"{name.replace('_', ' ')} {level} or more" for name, _, level in conditions)
    return f"reaches {' and '.join(scores)}"


def where(task: str) -> str:
    """On whose prompts."""
    return "over all tasks" if task == "joint" else f"on {task}"


def headline(row: Measurement) -> str:
    """What the least bits of all programs say, and no more than their interval allows.

    row: complexity_bits over all programs. Its value is the least of a program that scores high
    enough, its lower limit the least whose interval reaches the score, its upper limit the least
    whose interval lies above the score.
    """
    target = f"{target_words(row.of or '')} {where(row.task)}"
    if row.low is None:
        return f"No measured program {target}, and no interval reaches that (n = {row.n})."
    if row.value is None:
        return (
            f"Whether a program {target} is not determined: no measured one does, but intervals "
            f"reach that score from {bytes_words(row.low)} bytes on (n = {row.n})."
        )
    text = (
        f"The shortest measured program that {target} has {bytes_words(row.value)} bytes, its "
        f"decoder counted (95 % interval {interval_words(row.low, row.high)}, n = {row.n})."
    )
    if row.high is None:
        text += " No program's interval lies above that score, so the least is not determined."
    return text
