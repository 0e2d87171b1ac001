"""Rows of a complexity study: bits of each program, its distance, and least bits for a score."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from veneer.foundation.results import Measurement
from veneer.foundation.system_id import SystemId
from veneer.studies.complexity.front import LeastBits, Point, least_bits
from veneer.studies.complexity.names import CONTROLS, EVERY, STUDY, view_system
from veneer.studies.complexity.program.files import decoder_bits
from veneer.studies.complexity.programs import Program
from veneer.studies.complexity.words import least_note, view_words
from veneer.tasks.task import Task

BITS = "bits"
WELL_FORMED = "well_formed"


def bit_rows(program: Program, bits: int) -> Iterator[Measurement]:
    """program_bits, decoder_bits and published_bits of one program; n is 0, since no prompt is
    behind them."""
    facts = {"view": program.view, "kind": program.kind, "sha256": program.sha256}
    values = {
        "program_bits": (bits, {**facts, **program.facts}),
        "decoder_bits": (decoder_bits(program.kind), facts),
        "published_bits": (program.published_bits, {**facts, **program.facts}),
    }
    for metric, (value, about) in values.items():
        yield Measurement(
            STUDY,
            "joint",
            metric,
            program.name,
            float(value),
            0,
            unit=BITS,
            note=view_words(about),
            facts=about,
        )


def empty_rows(system: str, given: str) -> Iterator[Measurement]:
    """The empty program: base itself, or with `given` aligned the aligned model."""
    for metric in ("program_bits", "decoder_bits", "published_bits"):
        facts = {"view": "empty", "given": given}
        yield Measurement(
            STUDY,
            "joint",
            metric,
            system,
            0.0,
            0,
            unit=BITS,
            note=view_words(facts),
            facts=facts,
        )


def by_definition(share: Measurement) -> dict[str, Any]:
    """The fields of base's own `kl_recovered` that other prompts could not change: it recovers 0 of
    its own KL, whatever the prompts."""
    return {"low": share.value, "high": share.value, "note": "by definition", "facts": {}}


def complexity_rows(
    programs: Sequence[Program],
    bits: Mapping[str, int],
    measured: Sequence[Measurement],
    tasks: Sequence[Task],
    levels: Sequence[float],
) -> Iterator[Measurement]:
    """complexity_bits of each score: of kl_recovered, of every task's first headline that is better
    when higher, and of that headline together with well-formed answers.

    bits: system -> total bits, base's empty program among them. Controls are no programs here.
    """
    views = {p.name: p.view for p in programs if p.view not in CONTROLS}
    for task, metrics in _scores(measured, tasks):
        tables = [_points(measured, task, metric, bits, views) for metric in metrics]
        names = [n for n in tables[0] if all(n in table for table in tables)]
        if not names:
            continue
        scored = [next(r for r in measured if (r.task, r.metric) == (task, m)) for m in metrics]
        # of a score of two metrics, the judges of both
        judge = "+".join(dict.fromkeys(r.judge for r in scored if r.judge)) or None
        for level in levels:
            of = ",".join(f"{metric}>={level:g}" for metric in metrics)
            for identity, own in _groups(names, views):
                points = [[table[name] for table in tables] for name in own]
                least = least_bits(points, [level] * len(metrics))
                yield _least_row(identity, of, least, replace(scored[0], judge=judge), len(own))


def _scores(
    measured: Sequence[Measurement], tasks: Sequence[Task]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    if any(r.metric == "kl_recovered" and r.task == "joint" for r in measured):
        yield "joint", ("kl_recovered",)
    for task in tasks:
        known = {r.metric for r in measured if r.task == task.name}
        first = next((m for m, up in task.headlines.items() if up == "up" and m in known), None)
        if first is not None:
            yield task.name, (first,)
            if WELL_FORMED in known:
                yield task.name, (first, WELL_FORMED)


def _points(
    measured: Sequence[Measurement],
    task: str,
    metric: str,
    bits: Mapping[str, int],
    views: Mapping[str, str],
) -> dict[str, Point]:
    points = {}
    for row in measured:
        own = (row.task, row.metric, row.position) == (task, metric, None)
        known = row.split in ("test", "report") and (row.system in views or row.system == "base")
        if own and known and row.value is not None and row.system in bits:
            # a score without an interval excludes nothing
            low = -math.inf if row.low is None else row.low
            high = math.inf if row.high is None else row.high
            points[row.system] = Point(bits[row.system], row.value, low, high)
    return points


def _groups(names: Sequence[str], views: Mapping[str, str]) -> Iterator[tuple[SystemId, list[str]]]:
    """All programs, and those of each view; the empty program belongs to every group."""
    yield SystemId.of(EVERY), list(names)
    for view in dict.fromkeys(views[n] for n in names if n in views):
        yield view_system(view), [n for n in names if views.get(n, view) == view]


def _least_row(
    identity: SystemId, of: str, least: LeastBits, scored: Measurement, tried: int
) -> Measurement:
    """scored: a measurement of the score, for its task, judge, split and number of prompts."""
    facts = {
        "points": tried,
        "not_reached": [k for k in ("value", "low", "high") if getattr(least, k) is None],
    }
    value, low, high = (
        None if bits is None else float(bits) for bits in (least.value, least.low, least.high)
    )
    return Measurement(
        STUDY,
        scored.task,
        "complexity_bits",
        identity.name,
        value,
        scored.n,
        low,
        high,
        judge=scored.judge,
        of=of,
        split=scored.split,
        unit=BITS,
        note=least_note(facts),
        facts=facts,
        system_id=identity,
    )
