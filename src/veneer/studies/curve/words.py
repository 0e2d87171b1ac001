"""A curve study in English, from facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veneer.foundation.results import Measurement, Results, join_notes
from veneer.studies.curve.names import BEYOND_STYLE, FAMILY, FIT, STUDY, STYLE, TO_95

FAMILIES = {
    "constant": "a constant",
    "power": "the power law a D^(1/b)",
    "power_above_floor": "a power law above a floor",
    "logarithm": "a straight line in log D",
    "saturating": "a saturating curve",
}
CLASSES = {
    "right": "right",
    "contradiction": "states another number than it calculated",
    "slip": "right calculation, wrong result",
    "setup": "wrong calculation",
    "malformed": "states a number without a calculation",
    "unstated": "states no answer",
    "refusal": "refuses",
    "empty": "empty",
}
CONTROLS = {
    "steps": "as many steps at every size",
    "shuffled": "answers of other questions",
}
SCORES = {STYLE: "in the style", "accuracy": "right", "accuracy_strict": "right as stated"}
REASONS = {
    "no_gain": "no gain beyond chance between the least and the greatest size",
    "not_reached": "not reached at {largest:,} examples",
    "all_equal": "all resamples agree, so that there is no interval",
}
ENDS = {"low": "the interval begins", "high": "the interval ends", "value": "the value lies"}


def seeds_note(facts: Mapping[str, Any]) -> str | None:
    count = facts["seeds"]
    return None if count > 1 else "one training run: the interval holds prompts alone"


def surface_note(facts: Mapping[str, Any]) -> str | None:
    count = facts["seeds"]
    return None if count < 2 else f"{count} training runs together; the interval resamples prompts"


def fit_note(facts: Mapping[str, Any]) -> str | None:
    note = f"of {FAMILIES[facts['family']]}"
    equal = REASONS["all_equal"] if "reason" in facts else None
    return join_notes(note, equal, seeds_note(facts))


def family_note(facts: Mapping[str, Any]) -> str:
    """Which family is named, and how far the others lie behind."""
    scores = facts["held_out"]
    if not scores:
        return (
            f"families are not compared: that needs at least {facts['sizes_needed']} sizes above 0"
        )
    best = max(scores.values())
    behind = {name: best - value for name, value in scores.items()}
    order = sorted(behind, key=lambda name: behind[name])
    rest = ", ".join(f"{FAMILIES[name]} {behind[name]:.1f}" for name in order[1:])
    named = f"{FAMILIES[order[0]]}" if facts["family"] else "not told apart"
    lead = named if facts["family"] else f"{named}; best is {FAMILIES[order[0]]}"
    return f"{lead}; nats behind it: {rest}"


def examples_note(facts: Mapping[str, Any]) -> str | None:
    """Why there is no figure, or which limit lies beyond what was measured."""
    if "reason" in facts:
        return REASONS[facts["reason"]].format(**facts)
    notes = []
    if facts.get("at_most"):
        notes.append("at the least size already: the true number may be smaller")
    notes += [
        f"{ENDS[end]} beyond {facts['largest']:,} examples"
        for end in facts.get("not_reached", ())
        if end != "value"
    ]
    return join_notes(*notes)


def score_words(metric: str) -> str:
    return SCORES.get(metric, metric.replace("_", " "))


def finding(results: Results) -> list[str]:
    """One sentence per fitted score: how many examples make 95 % of its gain, and the family."""
    sentences = []
    families = results.where(study=STUDY, system=FIT, metric=FAMILY)
    too_few = len(families) > 1 and not any(f.fact("held_out") for f in families)
    for row in results.where(study=STUDY, system=FIT, metric=TO_95):
        sentence = f"{row.task}: “{score_words(row.of or '')}” {_to_95(row)}"
        family = [f for f in families if (f.task, f.of) == (row.task, row.of)]
        shape = f" {_shape(family[0])}." if family and not too_few else ""
        sentences.append(f"{sentence}.{shape}")
    if too_few:
        sentences.append("The shape of no curve is determined: there are too few sizes.")
    return sentences


def headline(results: Results) -> str | None:
    """The finding on style against skill, where both were fitted."""
    row = next(iter(results.where(study=STUDY, system=FIT, metric=BEYOND_STYLE)), None)
    if row is None:
        return next(iter(finding(results)), None)
    style = results.where(study=STUDY, system=FIT, metric=TO_95, task=row.task, of=STYLE)
    skill = results.where(study=STUDY, system=FIT, metric=TO_95, task=row.task, of=row.of)
    if not style or not skill:
        return None
    text = f"On {row.task}, style {_to_95(style[0])}, and the share of right answers"
    text = f"{text} {_to_95(skill[0])}."
    if row.low is not None and row.low > 0:
        return f"{text} Style is learned from fewer examples."
    return f"{text} Whether style is learned from fewer examples is not determined."


def _to_95(row: Measurement) -> str:
    """Such as "makes 95 % of its gain with 48 examples [16, 130]", only as strong as its
    interval."""
    if row.fact("reason") == "no_gain":
        return "shows no gain beyond chance"
    if row.fact("reason") == "all_equal":
        end = "" if row.value is None else f" (fitted: {row.value:,.0f}, without an interval)"
        return f"gains, but with how many examples it makes 95 % of that is not determined{end}"
    if row.value is None:
        largest = f"{row.fact('largest'):,}"
        if row.low is None:
            return f"does not make 95 % of its gain with {largest} examples"
        return (
            f"is not shown to make 95 % of its gain with {largest} examples (the interval begins "
            f"at {row.low:,.0f})"
        )
    end = "not reached" if row.high is None else f"{row.high:,.0f}"
    start = "0" if row.low is None else f"{row.low:,.0f}"
    most = " or fewer" if row.fact("at_most") else ""
    return f"makes 95 % of its gain with {row.value:,.0f} examples{most} [{start}, {end}]"


def _shape(row: Measurement) -> str:
    """Whether the curve has a shape that the data tell."""
    if not row.fact("held_out"):
        return "The shape of the curve is not determined: there are too few sizes"
    family = row.fact("family")
    if family is None:
        return "The shape of the curve is not determined: several families fit as well"
    return f"The curve is {FAMILIES[family]}: every other family predicts sizes left out worse"
