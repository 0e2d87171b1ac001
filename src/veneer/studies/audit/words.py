"""An audit in English: notes of rows, and the verdict's headline and sentences, from facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from veneer.foundation.results import Measurement, Results
from veneer.studies.audit import evidence
from veneer.studies.audit.evidence import AuditVerdict, WeightGroup
from veneer.studies.audit.folders_0_1 import facts_of, verdict_of_0_1
from veneer.studies.audit.names import (
    AUDITED,
    BOTTOM,
    HARMFUL,
    HARMLESS,
    REFERENCE,
    RESTORED,
    TOP,
)

SHOWN = 60  # characters of an opening
LOWER_BOUND = "tail lumped: a lower bound"
METRICS = {  # notes that say what a metric counts
    "unfinished_rate": "cut within the reasoning, before any answer",
    "cut_rate": "answers that the limit on tokens cut off",
    "same_answer": "word for word the reference's answer",
}
RESTORES = {
    "yes": "a veneer restores it",
    "in part": "a veneer restores at least part of it",
    "no": "no veneer restores it",
    "not determined": "whether a veneer restores it is not determined",
}
WHERE = {
    "head only": "carried by the head alone",
    "layers": "carried by the layers",
    "both": "carried by the head and the layers",
    "not determined": "whether by head or layers is not determined",
}
NO_VERDICT = "no verdict is recorded"


# Notes of rows


def opening_note(facts: Mapping[str, Any]) -> str:
    """Such as: begins with "I'm sorry," (its first 4 tokens)."""
    if not facts["opening"]:
        return f"no visible text in the first {facts['tokens']} tokens"
    return f'begins with "{facts["opening"][:SHOWN]}" (its first {facts["tokens"]} tokens)'


def difference_note(facts: Mapping[str, Any]) -> str:
    return f"p = {facts['p']:.3g} after Holm over {facts['family']} differences"


def weights_note(facts: Mapping[str, Any]) -> str:
    return (
        f"{facts['tensors']} tensors, {facts['parameters']:,} parameters; of weights, not of "
        "prompts"
    )


def rank_note(facts: Mapping[str, Any]) -> str:
    return (
        f"of {facts['full']}; singular values with {facts['energy']:.0%} of the squares, the "
        "largest of its matrices"
    )


def patch_note(facts: Mapping[str, Any]) -> str:
    return (
        f"the reference's {layer_ranges(facts['layers'])} in the audited model; "
        f"{facts['prompts']} prompts"
    )


def layer_ranges(numbers: Sequence[int]) -> str:
    """15, 16, 17, 20 -> "layers 15 to 17, 20"; 3 -> "layer 3"."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][1] + 1:
            runs[-1][1] = n
        else:
            runs.append([n, n])
    words = ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in runs)
    return f"layer{'s' * (len(numbers) > 1)} {words}"


# The verdict


def verdict_texts(run: Any, rows: Iterable[Measurement]) -> tuple[str, list[str]]:
    """Headline and sentences of the verdict in run.json, on the rows beside it. Nothing is assumed
    about run.json."""
    value = run.get("verdict") if isinstance(run, Mapping) else None
    verdict = AuditVerdict.of_run(value)
    if verdict is not None:
        return headline(verdict), sentences(Results(rows), verdict)
    return verdict_of_0_1(value) or (NO_VERDICT, [])


def headline(verdict: AuditVerdict) -> str:
    """Such as "surface moved, carried by the layers; a veneer restores at least part of it"."""
    if verdict.rounded:
        return f"unchanged but for rounding to {verdict.rounded}"
    where = WHERE.get(verdict.where, verdict.where)
    change = ", ".join(word for word in (verdict.moved, where) if word)
    return "; ".join(text for text in (change, RESTORES.get(verdict.restorable)) if text)


def sentences(results: Results, verdict: AuditVerdict) -> list[str]:
    """The verdict with figures, from the rows that it was made from."""
    behaviour = [_behaviour(results, task) for task in (HARMFUL, HARMLESS)]
    weights = _weights(evidence.groups(results), verdict)
    omitted = [omission(o) for o in verdict.left_out]
    last = f"Not compared: {'; '.join(omitted)}." if omitted else ""
    kl = evidence.kl_rows(results, AUDITED)
    if not kl:
        texts = [*behaviour, weights, last]
    elif verdict.moved == evidence.UNCHANGED:
        equal = (
            f"The two models give the same distributions: {figure(kl[0])} nats per token, noise "
            f"floor {verdict.floor:.1g}."
        )
        texts = [equal, weights, *behaviour, last]
    else:
        parts = (_where(results, verdict), weights, _patched(results), _restorable(results))
        texts = [_distance(results, verdict), *behaviour, *parts, last]
    return [text for text in texts if text]


def omission(facts: Mapping[str, Any]) -> str:
    """The failed comparisons, with reasons. facts: as AuditVerdict.left_out has them."""
    forms = {
        "layers_unknown": "{detail}",
        "vocabularies": "KL, heads and a veneer, since the vocabularies do not match: {detail}",
        "templates": (
            "the two chat templates differ, so the two models read other tokens before their "
            "answers"
        ),
        "few_prompts": "a veneer, since there are too few prompts for {folds} parts",
        "layers_differ": "patching of layers, since the layers of one model do not fit the other",
        "weights_of_one": "{count} weights are in one model only, such as {example}",
        "weights_shape": "{count} weights have another shape, such as {example}",
    }
    form = forms.get(facts["reason"], "{reason}")
    return form.format(**facts)


def figure(row: Measurement) -> str:
    """Such as "5.2 (4.9 to 5.5)"."""
    if row.value is None:
        return "undefined"
    digits = ".3g" if row.metric == "kl" else ".2f"
    limits = (
        ""
        if row.low is None or row.high is None
        else f" ({row.low:{digits}} to {row.high:{digits}})"
    )
    return f"{row.value:{digits}}{limits}"


def _distance(results: Results, verdict: AuditVerdict) -> str:
    by_task = {task: evidence.kl_rows(results, AUDITED, task) for task in (HARMFUL, HARMLESS)}
    parts = [
        f"on {task} prompts {' and '.join(figure(row) for row in rows[:2])}"
        for task, rows in by_task.items()
        if rows
    ]
    return (
        f"KL(A || C) in nats per token, on A's answers and on C's: {'; '.join(parts)}; noise floor "
        f"{verdict.floor:.1g}."
    )


def _behaviour(results: Results, task: str) -> str:
    rates = evidence.by_system(results, task, "refusal_rate")
    gap = evidence.difference(results, task, AUDITED, REFERENCE)
    if not {REFERENCE, AUDITED} <= set(rates) or gap is None:
        return ""
    a, c = rates[REFERENCE], rates[AUDITED]
    text = (
        f"Refusals on {task} prompts: {figure(a)} of A's answers, {figure(c)} of C's, difference "
        f"{figure(gap)} (n = {c.n})"
    )
    same = evidence.by_system(results, task, "same_answer").get(AUDITED)
    if same is not None and same.value is not None:
        text += f", {same.value:.2f} of C's answers are A's word for word"
    return text + _opening(evidence.by_system(results, task, "audited_opening")) + "."


def _opening(rows: Mapping[str, Measurement]) -> str:
    """How C's answers begin, where most of them and few of A's begin so."""
    a, c = rows.get(REFERENCE), rows.get(AUDITED)
    if a is None or c is None or a.value is None or c.value is None:
        return ""
    if c.value < 0.5 or a.value >= 0.5:
        return ""
    facts = facts_of(c)
    begin = opening_note(facts)
    if facts.get("opening"):
        begin = f'begin with "{facts["opening"][:SHOWN]}"'
    return f"; {c.value:.2f} of C's answers {begin}, {a.value:.2f} of A's"


def _where(results: Results, verdict: AuditVerdict) -> str:
    total, head, layers = evidence.alone(results)
    if head.value is None or layers.value is None or total.value is None:
        return (
            "The heads do not fit each other's hidden states, so head and layers cannot be "
            "separated."
        )
    text = (
        f"C's head on A's states makes {figure(head)} of the {total.value:.3g} nats on A's "
        f"answers, A's head on C's states {figure(layers)}"
    )
    if verdict.where == evidence.OPEN:
        return f"{text}; whether each carries more than a tenth of it is not determined."
    return text + ("." if verdict.carriers else ": neither alone makes much of it.")


def _weights(groups: Sequence[WeightGroup], verdict: AuditVerdict) -> str:
    moved = [g for g in groups if g.relative > 0]
    if not groups:
        return ""
    if not moved:
        return "All weights that both have are equal."
    if verdict.rounded:
        return (
            f"The weights of one model are those of the other rounded to {verdict.rounded}, as a "
            "copy that was saved in that type has them; no other weight differs."
        )
    inner = [g for g in moved if g.layer is not None]
    parts = [_inner_weights(inner, verdict.layers)] if inner else []
    for g in moved:
        if g.layer is None:
            rank = f", effective rank {g.rank} of {g.full}" if g.full else ""
            parts.append(f"{g.name} ({g.relative:.2g} of its norm{rank})")
    same = [g.name for g in groups if not g.relative and g.is_head]
    return f"Weights differ in {'; '.join(parts)}" + (
        f"; {' and '.join(same)} equal." if same else "."
    )


def _inner_weights(groups: Sequence[WeightGroup], layers: int) -> str:
    """The layers that changed, of so many."""
    numbers = sorted({g.layer for g in groups if g.layer is not None})
    most = max(groups, key=lambda g: g.relative)
    text = (
        f"{layer_ranges(numbers)} of {layers} (most in {most.name}, {most.relative:.2g} of its "
        "norm)"
    )
    if evidence.is_low_rank(groups):
        widest = max(groups, key=lambda g: g.rank)
        text += (
            f", by differences of effective rank {widest.rank} of {widest.full} at the most, as a "
            "low-rank adapter leaves them"
        )
    return text


def _patched(results: Results) -> str:
    parts = []
    for end, word in ((BOTTOM, "lowest"), (TOP, "highest")):
        row = evidence.half_restored(results, end)
        if row is not None:
            layers = facts_of(row).get("layers") or []
            parts.append(
                f"with its {word} {len(layers)} ({layer_ranges(layers)}) {figure(row)} of the KL "
                "is gone"
            )
    return f"The reference's changed layers put into C: {', '.join(parts)}." if parts else ""


def _restorable(results: Results) -> str:
    share = evidence.recovered(results)
    if share is None:
        return ""
    text = (
        f"With a veneer for C towards A, on prompts that it has not seen, {figure(share)} of the "
        "KL is recovered"
    )
    lost = evidence.difference(results, HARMFUL, AUDITED, REFERENCE)
    if lost is None or evidence.holds_zero(lost):
        return f"{text}; refusals had not changed beyond chance."
    rates = evidence.by_system(results, HARMFUL, "refusal_rate")
    left = evidence.difference(results, HARMFUL, RESTORED, REFERENCE)
    if RESTORED in rates and left is not None:
        rate = rates[RESTORED]
        text += f" and C refuses {figure(rate)} of harmful prompts (n = {rate.n})"
        text += f", a difference from A of {figure(left)}"
    over = evidence.difference(results, HARMLESS, RESTORED, REFERENCE)
    if over is not None:
        text += f"; on harmless prompts its refusals differ from A's by {figure(over)}"
    return text + "."
