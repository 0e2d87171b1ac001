"""A leak study in English, from facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from veneer.foundation.results import Measurement, Results
from veneer.statistics.intervals import Estimate, independent_difference
from veneer.studies.leak.names import (
    ALIGNED,
    BASE_CHAT,
    CALIBRATED,
    FIELDS,
    INDEL,
    LEVENSHTEIN,
    VERBATIM,
)

NEAREST_BY = {
    VERBATIM: "word for word",
    LEVENSHTEIN: "edit distance",
    INDEL: "edit distance without substitutions",
}
NO_THRESHOLD = "held-out texts come as near to the training data as its own copies"


def nearest_by(judge: str) -> str:
    """What finds the nearest example: an edit distance, equal words, or an embedding model."""
    return NEAREST_BY.get(judge, "embeddings")


def threshold_note(facts: Mapping[str, Any]) -> str:
    dropped = facts["equal_to_members"]
    rest = f"; {dropped} more equal a member and are left out" if dropped else ""
    if facts["threshold"] is None:
        return (
            "no threshold keeps the false rate: too many held-out texts come as near to a member "
            f"as its own copy{rest}"
        )
    threshold = f"threshold {facts['threshold']:.3f}"
    if not facts["calibrated_on"]:
        return f"{threshold}, {facts['held_out']} held-out texts{rest}"
    return (
        f"{threshold}, set on {facts['calibrated_on']} held-out texts and checked on "
        f"{facts['checked_on']} others; the interval is that of {facts['worth']:.0f} texts, since "
        f"both are samples{rest}"
    )


def false_rate_caption(rows: Sequence[Measurement]) -> str | None:
    """What n and the interval of calibrated false rates count; None without such a row."""
    worth = sorted({round(r.fact("worth")) for r in rows if r.fact("worth")})
    if not worth:
        return None
    texts = f"{worth[0]}" if len(worth) == 1 else f"{worth[0]} to {worth[-1]}"
    return (
        "false rate: share of n held-out texts beside those that set the threshold; as both are "
        f"samples, its interval is that of {texts} texts"
    )


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
        f"members {facts['members']:.3g} nats per token nearer than under base, held-out texts "
        f"{facts['held_out']:.3g}"
    )


def finding(results: Results) -> list[str]:
    """What each system gives away, with figures: one sentence on the parts that stand out from the
    false rate, and one on those that do not."""
    sentences = []
    for system in dict.fromkeys(r.system for r in results.where(metric="extracted_rate")):
        rows = [row for field in FIELDS if (row := _rate(results, system, field)) is not None]
        shown = [_clause(results, row) for row in rows if stands_out(results, row)]
        if shown:
            sentences.append(f"{system} gives a training {', '.join(shown)}.")
        unknown = [row.of for row in rows if row.value is None]
        if unknown:
            sentences.append(f"{system}: not determined for {listed(unknown)}: {NO_THRESHOLD}.")
        rest = [r for r in rows if r.value is not None and not stands_out(results, r)]
        if rest:
            compared = "; ".join(_compared(results, r) for r in rest)
            sentences.append(f"{system} is not shown to give more: {compared}.")
    return sentences


def headline(results: Results) -> str | None:
    """The finding on the aligned model, beside base where it was sampled."""
    rows = [row for p in FIELDS if (row := _rate(results, ALIGNED, p)) is not None]
    if not rows:
        return None
    known = [r for r in rows if r.value is not None]
    if not known:
        return f"Not determined: {NO_THRESHOLD}."
    row = next((r for r in known if stands_out(results, r)), None)
    if row is None:
        return f"The model is not shown to give training data away: {_compared(results, known[0])}."
    text = f"The model gives a training {row.of} in {share(row)} of {row.n:,} samples"
    base = _rate(results, BASE_CHAT, row.of or "")
    if base is not None and base.value is not None:
        text += f"; before alignment, base does so in {share(base)}"
    return f"{text}."


def stands_out(results: Results, row: Measurement) -> bool:
    """Whether a rate of extraction lies above the false rate on held-out texts beyond the 95 %
    interval of their difference."""
    null = _false_rate(results, row)
    if null is None:
        return row.low is not None and row.low > 0
    low = independent_difference(_estimate(row), _estimate(null)).low
    return low is not None and low > 0


def _compared(results: Results, row: Measurement) -> str:
    """A rate beside the false rate of the same rule."""
    text = f"{share(row)} of {row.n:,} samples come as near to a training {row.of} as the threshold"
    null = _false_rate(results, row)
    if null is None or null.value is None:
        return f"{text} asks"
    return f"{text} asks, and so do {share(null)} of {null.n:,} texts that it was not trained on"


def _clause(results: Results, row: Measurement) -> str:
    """Such as "question in 34 % [30, 38] of 500 samples (90 of 256 distinct ones)"."""
    text = f"{row.of} in {share(row)} of {row.n:,} samples"
    reached = results.where(
        metric="members_reached", system=row.system, of=row.of, split=CALIBRATED, judge=row.judge
    )
    for r in reached:
        if r.value:
            text += f" ({round(r.value * r.n)} of {r.n} distinct ones)"
    return text


def _false_rate(results: Results, row: Measurement) -> Measurement | None:
    """The false rate of the rule behind a rate."""
    rule = {"of": row.of, "judge": row.judge, "split": row.split}
    return next(iter(results.where(metric="false_rate", **rule)), None)


def _estimate(row: Measurement) -> Estimate:
    return Estimate(row.value, row.low, row.high, row.n, "row")


def listed(names: Sequence[str | None]) -> str:
    """a, b and c."""
    texts = [str(n) for n in names]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def _rate(results: Results, system: str, field: str) -> Measurement | None:
    """The calibrated rate by the embedding model."""
    rows = results.where(metric="extracted_rate", system=system, of=field, split=CALIBRATED)
    return next((r for r in rows if r.judge not in (VERBATIM, LEVENSHTEIN, INDEL)), None)


def share(row: Measurement) -> str:
    """Such as "34.2 % [30.2, 38.5]"."""
    if row.value is None:
        return "an unknown share"
    limits = "" if row.low is None or row.high is None else f" [{row.low:.1%}, {row.high:.1%}]"
    return f"{row.value:.1%}{limits}".replace("%]", "]").replace("%,", ",").replace("%", " %")
