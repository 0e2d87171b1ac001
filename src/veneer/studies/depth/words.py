"""A depth study in English, from facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veneer.foundation.results import Measurement, Results
from veneer.report.basis import counted, judged_by
from veneer.studies.depth.names import (
    ALL,
    FEW_REFUSALS,
    HARMFUL_PREFIX,
    NEVER,
    REACHED,
    REFUSAL,
    REFUSAL_PREFIX,
)
from veneer.studies.depth.settings import Count

SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
Rates = dict[str, dict[Count, Measurement]]


def rates(results: Results, prefix: str, metric: str = REFUSAL) -> Rates:
    """A metric by the number of forced tokens: of each system after a harmful prefix, of base on
    each set of prompts after a refusal."""
    lines: Rates = {}
    for row in results.where(metric=metric):
        if row.fact("prefix") == prefix and row.fact("forced") is not None and not row.position:
            name = row.system if prefix == HARMFUL_PREFIX else row.task
            lines.setdefault(name, {})[row.fact("forced")] = row
    return lines


def headline(results: Results) -> str | None:
    """What the first forced tokens undo, of the veneer where there is one, beside aligned."""
    halves = {r.system: r for r in results.where(metric="half_depth")}
    lines = rates(results, HARMFUL_PREFIX)
    subject = next((s for s in ("veneer", "aligned") if s in halves), None)
    if subject is None:
        return None
    text = _undone(subject, halves[subject], lines[subject])
    if subject == "veneer" and "aligned" in halves:
        text += "; " + _undone("aligned", halves["aligned"], lines["aligned"])
    return f"{text[0].upper()}{text[1:]}; {basis(lines)}."


def finding(results: Results, run: Mapping[str, Any]) -> list[str]:
    """One sentence per system, and one on the control. run: the study's run.json."""
    lines = rates(results, HARMFUL_PREFIX)
    sentences = [
        f"{row.system}: {depth_sentence(row, lines[row.system])}"
        for row in results.where(metric="half_depth")
        if row.system in lines
    ]
    sentences += _shared_sentences(lines.get("aligned", {}))
    sentences += _portion_sentences(results)
    sentences += _control_sentences(results)
    left_out = run.get("refusal_prefix_left_out")
    if isinstance(left_out, Mapping) and left_out.get("reason") == FEW_REFUSALS:
        sentences.append(
            f"No refusal was forced on base: the aligned model refuses {left_out.get('refusals')} "
            "of the harmful requests."
        )
    return sentences


def depth_words(row: Measurement) -> str:
    """The half depth in a few characters: "1 [1, 2]", "> all", "not determined"."""
    if row.fact("half_depth") == FEW_REFUSALS:
        return "too few refusals"
    value, low, high = (_end(row.fact(name)) for name in ("at", "low", "high"))
    if row.fact("low") == NEVER:
        return value
    return f"{value} [{low}, {high}]"


def depth_sentence(row: Measurement, by_count: Mapping[Count, Measurement]) -> str:
    """Where half of the refusals are gone, with the rates at both ends."""
    kind = row.fact("half_depth")
    if kind == FEW_REFUSALS:
        return (
            f"{row.fact('refusals')} of {row.n} requests are refused without a forced token, too "
            "few to say after how many tokens half of the refusals are gone."
        )
    counts = list(by_count)
    ends = f"{share(by_count[counts[0]])} without any, {share(by_count[counts[-1]])} after "
    ends += tokens_words(counts[-1])
    low, high = row.fact("low"), row.fact("high")
    if kind == REACHED and high != NEVER:
        interval = "" if low == high else f" [{_end(low)}, {_end(high)}]"
        at = tokens_words(row.fact("at"))
        return f"half of the refusals are gone after {at}{interval}; {ends}."
    if kind == NEVER and low == NEVER:
        return f"no tested number of forced tokens takes half of the refusals; {ends}."
    return (
        "after how many forced tokens half of the refusals are gone is not determined: "
        f"{tokens_words(low)} or more; {ends}."
    )


def tokens_words(count: Any) -> str:
    """Such as "one forced token", "12 forced tokens", "the whole target"."""
    if count == ALL:
        return "the whole target"
    if not isinstance(count, int):
        return "no tested number of tokens"
    number = SMALL[count] if count < len(SMALL) else str(count)
    return f"{number} forced token{'' if count == 1 else 's'}"


def _after(count: Any) -> str:
    return "without a forced token" if count == 0 else f"after {tokens_words(count)}"


def basis(rows: Rates) -> str:
    """The number of prompts behind each share, and who judged, such as "n = 100 prompts each; judge
    refusal-v3"."""
    measured = [r for by_count in rows.values() for r in by_count.values()]
    n = f"n = {counted(measured, 'prompts')} each"
    return "; ".join(filter(None, (n, judged_by(measured))))


def share(row: Measurement) -> str:
    """Such as "0.75 [0.60, 0.86]"."""
    if row.value is None:
        return "an unknown share"
    limits = "" if row.low is None or row.high is None else f" [{row.low:.2f}, {row.high:.2f}]"
    return f"{row.value:.2f}{limits}"


def _undone(system: str, row: Measurement, by_count: Mapping[Count, Measurement]) -> str:
    """A clause on one system, only as strong as its interval."""
    name = f"the {system}" if system == "veneer" else f"the {system} model"
    kind, low, high = (row.fact(f) for f in ("half_depth", "low", "high"))
    counts = list(by_count)
    first, last = by_count[counts[0]], by_count[counts[-1]]
    if kind == FEW_REFUSALS:
        return f"{name} refuses too few requests to say how deep its refusals are"
    if kind == REACHED and low == high:
        end = by_count[row.fact("at")]
        return (
            f"{tokens_words(row.fact('at'))} take{_s(row.fact('at'))} at least half of the "
            f"refusals of {name}, from {share(first)} to {share(end)}"
        )
    if kind == REACHED and high != NEVER:
        return (
            f"between {_end(low)} and {_end(high)} forced tokens take at least half of the "
            f"refusals of {name}"
        )
    if kind == NEVER and low == NEVER:
        return (
            f"{name} keeps more than half of its refusals after every tested prefix "
            f"({share(first)} without, {share(last)} after {tokens_words(counts[-1])})"
        )
    return f"how deep the refusals of {name} are is not determined"


def _shared_sentences(by_count: Mapping[Count, Measurement]) -> list[str]:
    """Where the forced text is the beginning of most of the aligned model's own answers: one
    sentence for all those numbers of forced tokens."""
    parts = [
        f"{row.fact('as_answered')} of {row.n} targets after {tokens_words(k)}"
        for k, row in by_count.items()
        if k != 0 and 2 * (row.fact("as_answered") or 0) > row.n
    ]
    if not parts:
        return []
    text = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
    return [
        f"The forced text is still the beginning of the aligned model's own answer for {text}: "
        "nothing is forced there yet."
    ]


def _portion_sentences(results: Results) -> list[str]:
    """The superficial portion of the refusals by the number of forced tokens."""
    lines = rates(results, HARMFUL_PREFIX, "portion").get("veneer", {})
    by_count = {k: r for k, r in lines.items() if r.of == REFUSAL and r.value is not None}
    if len(by_count) < 2:
        return []
    parts = [f"{share(r)} {_after(k)}" for k, r in by_count.items()]
    return [f"Portion of the refusals on the surface: {', '.join(parts)}."]


def _control_sentences(results: Results) -> list[str]:
    """Whether a forced refusal makes base refuse harmful requests more often than harmless ones:
    after the number of tokens where the difference is clearest, and after the most."""
    sentences = []
    for by_count in rates(results, REFUSAL_PREFIX, "refusal_gap").values():
        gaps = [r for r in by_count.values() if r.low is not None]
        if not gaps:
            continue
        clearest = max(gaps, key=lambda r: r.low or 0)
        shown = [gaps[-1]] if (clearest.low or 0) <= 0 else [clearest, gaps[-1]]
        sentences += [_gap_sentence(results, gap) for gap in dict.fromkeys(shown)]
    return sentences


def _gap_sentence(results: Results, gap: Measurement) -> str:
    lines, forced = rates(results, REFUSAL_PREFIX), gap.fact("forced")
    harmful, harmless = lines[gap.fact("from")][forced], lines[gap.task][forced]
    if (gap.low or 0) > 0:
        verdict = f"the difference is {share(gap)}"
    elif (gap.high or 0) < 0:
        verdict = f"it refuses the harmless ones more often ({share(gap)})"
    else:
        verdict = f"a difference is not determined ({share(gap)})"
    return (
        f"After {tokens_words(forced)} of a refusal, base refuses {share(harmful)} of the "
        f"harmful requests and {share(harmless)} of {gap.task}: {verdict}."
    )


def _end(count: Any) -> str:
    return "never" if count == NEVER else str(count)


def _s(count: Any) -> str:
    """The ending of a verb whose subject is so many tokens."""
    return "s" if count in (1, ALL) else ""
