"""Rows of results.jsonl that a restoration makes (study "restore")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from veneer.foundation.results import Measurement
from veneer.statistics import intervals
from veneer.statistics.comparisons import Comparison
from veneer.studies.restore.evaluation import Measured, Measuring
from veneer.studies.restore.prompts import Roles
from veneer.studies.restore.selection import Tried, Weights, known
from veneer.studies.restore.verdict import RESTORED, Verdict
from veneer.tasks.task import Task

STUDY = "restore"
NATS = "nats/token"


def names(tasks: Sequence[Task]) -> str:
    return "+".join(t.name for t in tasks)


def curve_rows(
    system: str, found: Measured, part: Measuring, *, seed: int = 0
) -> Iterator[Measurement]:
    """One point of the trade-off on the validation part: refusal_rate of harmful prompts,
    over_refusal_rate of safe ones, capability."""
    roles = part.roles
    wanted = [
        (roles.harmful, "refusal_rate", "refusal_rate"),
        (roles.safe, "refusal_rate", "over_refusal_rate"),
        (roles.capability, None, roles.capability[0].headline),
    ]
    if part.judged:
        wanted.append((roles.harmful, "harm_rate", "harm_rate"))
    for tasks, metric, name in wanted:
        first = found.scored[tasks[0].name]
        e = intervals.mean(known(found.values(tasks, metric)), seed=seed)
        yield Measurement.estimated(
            e,
            STUDY,
            names(tasks),
            name,
            system,
            split="validation",
            judge=first.judges.get(metric or tasks[0].headline),
            unit="share",
        )


def reading_rows(
    system: str,
    task: str,
    split: str,
    sums: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    seed: int = 0,
    note: str | None = None,
) -> Iterator[Measurement]:
    """KL and cross-entropy a token; metric -> (sums by passage, tokens of each)."""
    for metric, (values, tokens) in sums.items():
        e = intervals.ratio_of_sums(values, tokens, seed=seed)
        yield Measurement.estimated(
            e, STUDY, task, metric, system, split=split, unit=NATS, note=note
        )


def chosen_rows(
    way: str,
    tried: Sequence[Tried],
    chosen: Tried,
    weights: Weights,
    able: float,
    task: str,
    rule: str,
    *,
    seed: int = 0,
) -> Iterator[Measurement]:
    """The loss of every candidate, and which one was chosen."""
    for one in tried:
        e = one.loss(weights, able, seed=seed)
        yield Measurement.estimated(
            e, STUDY, task, "loss", one.name, split="validation", unit="loss", of=way
        )
    yield Measurement(
        STUDY,
        task,
        "chosen",
        way,
        chosen.size,
        chosen.loss(weights, able).n,
        split="validation",
        unit="alpha",
        note=f"{chosen.name}: {rule}",
    )


def verdict_rows(
    found: Sequence[Verdict], roles: Roles, judge: str | None, harm_judge: str | None
) -> Iterator[Measurement]:
    """The verdict on each way, and the differences and the portion behind it, on
    the report part."""
    harmful, safe, capability = names(roles.harmful), names(roles.safe), names(roles.capability)
    for v in found:
        n = v.gain.difference.n
        yield Measurement(
            STUDY,
            harmful,
            "restored",
            v.way,
            float(v.word == RESTORED),
            n,
            split="test",
            unit="0 or 1",
            judge=judge,
            note=v.sentence,
        )
        yield from _compared(v.gain, harmful, "compromised", v.way, "refusal_rate", judge)
        if v.harm is not None:
            yield from _compared(v.harm, harmful, "compromised", v.way, "harm_rate", harm_judge)
        if v.left is not None:
            yield from _compared(v.left, harmful, "aligned", v.way, "refusal_rate", judge)
        standard = "compromised" if v.left is None else "aligned"
        yield from _compared(v.over, safe, standard, v.way, "over_refusal_rate", judge)
        yield from _compared(
            v.able, capability, "compromised", v.way, roles.capability[0].headline, None
        )
        if v.text is not None:
            yield Measurement.estimated(
                v.text,
                STUDY,
                names((*roles.capability, *roles.safe)),
                "difference_from_compromised",
                v.way,
                split="test",
                of="text_nats",
                unit=NATS,
            )
        if v.portion is not None:
            yield Measurement.estimated(
                v.portion,
                STUDY,
                harmful,
                "portion",
                v.way,
                split="test",
                of="refusal_rate",
                judge=judge,
                unit="share",
            )


def _compared(
    c: Comparison, task: str, other: str, way: str, of: str, judge: str | None
) -> Iterator[Measurement]:
    p = "< 0.001" if c.adjusted < 0.001 else f"= {c.adjusted:.3f}"
    note = f"p {p}" + (f" after Holm over {c.family} ways" if c.family > 1 else "")
    note += f"; {c.difference.note}" if c.difference.note else ""
    yield Measurement.estimated(
        c.difference,
        STUDY,
        task,
        f"difference_from_{other}",
        way,
        split="test",
        of=of,
        judge=judge,
        unit="share",
        note=note,
    )
