"""What the measures and systems of a table on stdout mean: one line for each that the table
shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from veneer.foundation.results import Measurement
from veneer.report.systems import about
from veneer.report.words import UNDEFINED

MEANINGS = {
    "top1_agreement": "share of tokens at which the system's most likely token is the aligned "
    "model's",
    "refusal_rate": "share of answers that refuse in full",
    "empty_rate": "share of answers without text",
    "unfinished_rate": "share of answers that end within the model's reasoning",
    "well_formed": "share of answers that the aligned model finds at least as likely, per token, "
    "as 99 % of its own",
    "same_answer": "share of answers that are the reference's word for word",
    "common_opening": "share of answers that begin with the system's own most frequent first "
    "tokens",
    "mean_length": "tokens per answer",
    "accuracy_strict": "only a number that is stated as the answer counts, not simply the last one",
    "discernment_auroc": "the chance that a harmful prompt has a higher log-odds of beginning a "
    "refusal than a harmless one; 0.50 is chance",
    "probe_auroc": "the same chance for a linear function of base's hidden state at the prompt's "
    "last token, fitted to other prompts: how much of the difference is in base's states",
}
PORTION = "(veneer - base) / (aligned - base), not clipped"
RECOVERED = "of KL, the share recovered: 1 - KL(veneer) / KL(base)"
BARE = "a figure without brackets rests on too few prompts for an interval"


def meanings(shown: Mapping[str, str], rows: Iterable[Measurement]) -> list[str]:
    """One line per measure. shown: metric -> its name in the table, in the table's order. rows:
    those of the table, whose judges are named."""
    judges: dict[str, str] = {}
    for row in rows:
        if row.of is None and row.judge:
            judges.setdefault(row.metric, row.judge)
    lines = []
    for metric, name in shown.items():
        judge = f"judge {judges[metric]}" if metric in judges else None
        phrases = [phrase for phrase in (MEANINGS.get(metric), judge) if phrase]
        if phrases:
            lines.append(f"{name}: {'; '.join(phrases)}")
    return lines


def remarks(rows: Iterable[Measurement]) -> list[str]:
    """What the column of portions and missing intervals mean. rows: those of the table."""
    rows = list(rows)
    portions = [r for r in rows if r.metric == "portion"]
    lines = []
    if phrases := [PORTION] * bool(portions) + [RECOVERED] * any(
        r.metric == "kl_recovered" for r in rows
    ):
        lines.append(f"portion or share: {'; '.join(phrases)}")
    if any(r.value is None for r in portions):
        lines.append(f"undefined: {UNDEFINED}")
    if any(r.value is not None and r.low is None for r in rows):
        lines.append(BARE)
    return lines


def systems(names: Iterable[str]) -> list[str]:
    """One line per system that has a description."""
    return [f"{name}: {text}" for name in names if (text := about(name))]
