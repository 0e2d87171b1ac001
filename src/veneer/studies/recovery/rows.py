"""A comparison as rows of results.jsonl, and the verdicts as a table of their own
(docs/recovery.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from veneer.foundation.results import Measurement
from veneer.measures.clusters import kept
from veneer.statistics import intervals
from veneer.statistics.intervals import Estimate
from veneer.studies.recovery import words
from veneer.studies.recovery.compare import SELF, TOO_FEW, Entry, PlacedSystems
from veneer.studies.recovery.equivalence import FEW_PROMPTS, Equivalence

STUDY = "recovery"
UNITS = {"lexical": "Jaccard", "embedding": "cosine", "bertscore": "F1"}


def rows(
    c: PlacedSystems, entries: Sequence[Entry], *, teacher: str, task: str, seed: int = 0
) -> Iterator[Measurement]:
    """The rows of one measure.

    For every system and ceiling: `MEASURE_similarity` (mean over prompts of the mean over
    candidates) and `MEASURE_best` (expected best of as many candidates as all have). For every
    system and each ceiling (split "ceiling:NAME"): `portion` of both, 0 at base and 1 at the
    ceiling, and `gap_to_ceiling`, with the verdict among its facts. The teacher's own other samples
    go by its name.
    """
    oracles = {e.name: e.oracle for e in entries}
    unit = UNITS.get(c.measure, "similarity")
    for metric, values in _metrics(c):
        best = metric.endswith("_best")
        for system, x in values.items():
            if best and not c.candidates:
                continue
            facts = _oracle(oracles.get(system))
            if best:
                facts["best_of"] = c.candidates
            if system == SELF:
                facts["ceiling"] = True
            known = np.isfinite(x)
            ids = kept(c.scale.clusters, known)
            yield Measurement.estimated(
                intervals.on_scale(x[known], 0, 1, seed=seed, clusters=ids),
                STUDY,
                task,
                metric,
                teacher if system == SELF else system,
                judge=c.judge,
                unit=unit,
                note=words.similarity_note(facts, c.note),
                facts=facts,
            )
    yield from _place_rows(c, oracles, teacher=teacher, task=task)


def _place_rows(
    c: PlacedSystems, oracles: Mapping[str, str | None], *, teacher: str, task: str
) -> Iterator[Measurement]:
    """Where every system stands between base and each ceiling, and its gap to the ceiling."""
    unit = UNITS.get(c.measure, "similarity")
    (mean, _), (best, _) = _metrics(c)
    for metric, portions, verdicts in (
        (mean, c.portions, c.verdicts),
        (best, c.best_portions, c.best_verdicts),
    ):
        for (system, ceiling), e in portions.items():
            split = f"ceiling:{teacher if ceiling == SELF else ceiling}"
            place: dict[str, Any] = {"judge": c.judge, "of": metric, "split": split}
            oracle = _oracle(oracles.get(system))
            facts = {**oracle, **_undefined(e)}
            yield Measurement.estimated(
                e,
                STUDY,
                task,
                "portion",
                system,
                **place,
                note=words.portion_note(facts),
                facts=facts,
            )
            verdict = verdicts[system, ceiling]
            facts = {**oracle, **verdict.facts}
            yield Measurement.estimated(
                verdict.estimate,
                STUDY,
                task,
                "gap_to_ceiling",
                system,
                **place,
                unit=unit,
                note=words.gap_note(facts),
                facts=facts,
            )


def _undefined(e: Estimate) -> dict[str, Any]:
    """Why a portion is undefined, as facts."""
    if e.value is not None:
        return {}
    if e.method == TOO_FEW:
        return {"reason": {"code": FEW_PROMPTS, "prompts": e.n}}
    return {} if e.reason is None else {"reason": e.reason.to_json()}


def verdict_rows(
    c: PlacedSystems, entries: Sequence[Entry], *, teacher: str
) -> Iterator[dict[str, Any]]:
    """One row per system, ceiling and statistic: the whole outcome of the equivalence test."""
    oracles = {e.name: e.oracle for e in entries}
    for statistic, verdicts in (("mean", c.verdicts), ("best", c.best_verdicts)):
        for (system, ceiling), v in verdicts.items():
            yield {
                "measure": c.measure,
                "statistic": statistic,
                "system": system,
                "ceiling": teacher if ceiling == SELF else ceiling,
                **_flat(v),
                "candidates": c.candidates if statistic == "best" else None,
                "judge": c.judge,
                "oracle": words.oracle(_oracle(oracles.get(system))),
            }


def answer_rows(
    entries: Sequence[Entry],
    *,
    task: str,
    expected: int,
    seed: int = 0,
    clusters: np.ndarray | None = None,
) -> Iterator[Measurement]:
    """For every system `answers` (per prompt), and `empty_rate`, the share of answers without a
    word. expected: number of answers per prompt. clusters: (n,) one id per prompt."""
    for e in entries:
        counts = [len(samples) for samples in e.answers]
        oracle = _oracle(e.oracle)
        facts = {
            **oracle,
            "missing": sum(max(0, expected - n) for n in counts),
            "expected": expected * len(counts),
        }
        note = words.answers_note(facts)
        yield _counted("answers", e.name, counts, "answers per prompt", task, note, facts)
        empty = [
            float(np.mean([not t.strip() for t in samples])) for samples in e.answers if samples
        ]
        ids = kept(clusters, np.array(counts, bool))
        yield Measurement.estimated(
            intervals.mean(empty, seed=seed, clusters=ids),
            STUDY,
            task,
            "empty_rate",
            e.name,
            unit="share",
            note=words.oracle(oracle),
            facts=oracle,
        )


def example_rows(
    counts: Mapping[str, tuple[Sequence[int], Sequence[int]]],
    oracles: Mapping[str, str | None],
    *,
    task: str,
) -> Iterator[Measurement]:
    """For every in-context system the number of examples that its prompts show. counts: system ->
    (shown, dropped for the token budget), by prompt."""
    for system, (shown, dropped) in counts.items():
        facts = {
            **_oracle(oracles.get(system)),
            "dropped": sum(dropped),
            "dropped_prompts": sum(n > 0 for n in dropped),
            "prompts": len(dropped),
        }
        note = words.examples_note(facts)
        yield _counted("examples", system, shown, "examples a prompt", task, note, facts)


def _counted(
    metric: str,
    system: str,
    counts: Sequence[int],
    unit: str,
    task: str,
    note: str | None,
    facts: dict[str, Any],
) -> Measurement:
    """A mean of counts; without an interval, since it estimates nothing."""
    value = float(np.mean(counts))
    return Measurement(
        STUDY, task, metric, system, value, len(counts), unit=unit, note=note, facts=facts
    )


def _oracle(seen: str | None) -> dict[str, Any]:
    return {} if seen is None else {"oracle": seen}


def _metrics(c: PlacedSystems) -> tuple[tuple[str, dict[str, np.ndarray]], ...]:
    return (f"{c.measure}_similarity", c.similarity), (f"{c.measure}_best", c.best)


def _flat(v: Equivalence) -> dict[str, Any]:
    fields = asdict(v)
    del fields["estimate"]  # its row holds it
    return {"verdict": fields.pop("word"), **fields, "note": words.verdict_reason(v.facts)}
