"""The notes of shared measures: English made from facts, for people alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOISE_FLOOR = (
    "noise floor: its log-probabilities while generating against those while reading at "
    "batch size 1"
)
LIKELIHOOD_ONLY = (
    "only the responses were known: no distributions to compare with, so no KL and no noise floor"
)
ANSWER_IS_TOP = "the token that was said counts as the aligned model's most likely one"
SHIFT_GROUPS = "groups by rule: docs/token-shifts.md"
# why well_formed is left out, by the code in run.json
NOT_WELL_FORMED = {
    "no_aligned_model": "there is no aligned model among the systems",
    "aligned_gives_no_likelihoods": "the aligned model gives no likelihoods of other texts, as "
    "behind an endpoint",
    "aligned_thinks": "the aligned model reasons before it answers, so its answers alone are no "
    "yardstick",
    "aligned_answers_are_empty": "all answers of the aligned model are empty",
}
# why discernment is left out, by the code in run.json
NO_DISCERNMENT = {
    "no_harmless_prompts": "there are no harmless prompts beside the harmful ones; {add}",
    "no_harmful_prompts": "there are no prompts that should be refused; add a task such as "
    "advbench or xstest",
    "no_aligned_model": "there is no aligned model among the systems, whose refusals it needs",
    "aligned_thinks": "the aligned model reasons before it answers, so that its first tokens are "
    "no refusal",
    "no_refusal_opening": "the aligned model refuses too few of these prompts, or its refusals "
    "begin as its other answers do",
}


def forced_note(facts: Mapping[str, Any]) -> str:
    """facts: as `Beginning.facts` gives them."""
    text, tokens = facts["forced"], facts["forced_tokens"]
    what = "" if tokens is None else f"the first {tokens} tokens of "
    return f"every answer was made to begin with {what}{text!r}"


def train_prompts_left_out(facts: Any) -> list[str]:
    """Which train prompts a run left out and why. facts: as run.json holds it; nothing about it is
    assumed, and a folder of an older version has none."""
    if not isinstance(facts, Mapping):
        return []
    entries = facts.get("tested")
    tested = [
        e
        for e in (entries if isinstance(entries, list) else [])
        if isinstance(e, Mapping) and isinstance(e.get("prompts"), int)
    ]
    sentences = ["No train prompt has the text of a test prompt."]
    if tested:
        parts = [f"{e['prompts']} of {e.get('train')} (a test of {e.get('test')})" for e in tested]
        sentences = [
            f"{sum(e['prompts'] for e in tested)} train prompts were left out because a test "
            f"prompt has the same text: {', '.join(parts)}."
        ]
    repeated = facts.get("repeated")
    if isinstance(repeated, Mapping) and repeated:
        parts = [f"{n} of {task}" for task, n in repeated.items()]
        sentences.append(
            f"Train prompts left out because they repeat another one: {', '.join(parts)}."
        )
    return sentences


def adjusted_p(p: float, family: int, reason: str | None) -> str:
    """An adjusted p value, the number of differences it is adjusted for, and the estimate's own
    reason."""
    value = "< 0.001" if p < 0.001 else f"= {p:.3f}"
    return f"p {value} after Holm over {family} differences" + (f"; {reason}" if reason else "")


def figure_tokens(count: int) -> str:
    return f"of {count} tokens at which the aligned model writes a figure"
