"""A leak study in English, from facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from veneer.foundation.results import Measurement, Results
from veneer.studies.leak.names import (
    ALIGNED,
    BASE_CHAT,
    CALIBRATED,
    INDEL,
    LEVENSHTEIN,
    PARTS,
    VERBATIM,
)


def threshold_note(facts: Mapping[str, Any]) -> str:
    dropped = facts["equal_to_members"]
    rest = f"; {dropped} more equal a member and are left out" if dropped else ""
    if facts["threshold"] is None:
        return (
            "no threshold keeps the false rate: too many held-out texts come as near to a member "
            f"as its own copy{rest}"
        )
    return f"threshold {facts['threshold']:.3f}, {facts['held_out']} held-out texts{rest}"


def rate_note(facts: Mapping[str, Any]) -> str | None:
    if facts.get("undefined"):
        return "no threshold keeps the false rate on held-out texts"
    notes = []
    if facts.get("without_text"):
        notes.append(f"{facts['without_text']} samples have no such text")
    if not facts.get("all_compared", True):
        notes.append("edit distance to the nearest candidates alone")
    return "; ".join(notes) or None


def reached_note(facts: Mapping[str, Any]) -> str | None:
    copies = facts.get("copies")
    return None if copies is None else f"examples of which the data holds {copies_words(copies)}"


def copies_words(copies: Sequence[int]) -> str:
    """(4, 4) -> "4"; (4, 7) -> "4-7"."""
    least, most = copies
    return str(least) if least == most else f"{least}-{most}"


def likelihood_note(facts: Mapping[str, Any]) -> str:
    return (
        f"members {facts['members']:.3g} nats a token nearer than under base, held-out texts "
        f"{facts['held_out']:.3g}"
    )


def finding(results: Results) -> list[str]:
    """What each system gives away, one sentence per system, with figures."""
    sentences = []
    for system in dict.fromkeys(r.system for r in results.where(metric="extracted_rate")):
        clauses = [c for part in PARTS if (c := _clause(results, system, part))]
        if clauses:
            sentences.append(f"{system} gives a training {', '.join(clauses)}.")
    return sentences


def headline(results: Results) -> str | None:
    """The finding on the aligned model, beside base where it was sampled."""
    row = next((r for p in PARTS if (r := _rate(results, ALIGNED, p)) is not None), None)
    if row is None:
        return None
    if row.value is None:
        return "Not determined: held-out texts come as near to the training data as its own copies."
    text = f"The model gives a training {row.of} in {share(row)} of {row.n:,} samples"
    base = _rate(results, BASE_CHAT, row.of or "")
    if base is not None and base.value is not None:
        text += f"; before alignment, base does so in {share(base)}"
    return f"{text}."


def _clause(results: Results, system: str, part: str) -> str | None:
    """Such as "question in 34 % [30, 38] of 500 samples (90 of 256 distinct ones)"."""
    row = _rate(results, system, part)
    if row is None:
        return None
    if row.value is None:
        return f"{part} in a share that is not determined"
    text = f"{part} in {share(row)} of {row.n} samples"
    reached = results.where(
        metric="members_reached", system=system, of=part, split=CALIBRATED, judge=row.judge
    )
    for r in reached:
        if r.value:
            text += f" ({round(r.value * r.n)} of {r.n} distinct ones)"
    return text


def _rate(results: Results, system: str, part: str) -> Measurement | None:
    """The calibrated rate by the embedding model."""
    rows = results.where(metric="extracted_rate", system=system, of=part, split=CALIBRATED)
    return next((r for r in rows if r.judge not in (VERBATIM, LEVENSHTEIN, INDEL)), None)


def share(row: Measurement) -> str:
    """Such as "34.2 % [30.2, 38.5]"."""
    if row.value is None:
        return "an unknown share"
    limits = "" if row.low is None or row.high is None else f" [{row.low:.1%}, {row.high:.1%}]"
    return f"{row.value:.1%}{limits}".replace("%]", "]").replace("%,", ",").replace("%", " %")
