"""A comparison as rows of results.jsonl, and the verdicts as a table of their own
(docs/recovery.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from veneer.foundation.results import Measurement
from veneer.statistics import intervals
from veneer.studies.recovery.compare import SELF, Compared, Entry
from veneer.studies.recovery.equivalence import Verdict

STUDY = "recovery"
UNITS = {"lexical": "Jaccard", "embedding": "cosine", "bertscore": "F1"}


def rows(
    c: Compared, entries: Sequence[Entry], *, teacher: str, task: str, seed: int = 0
) -> Iterator[Measurement]:
    """Of every system and ceiling: `MEASURE_similarity` (mean over prompts of the mean over
    candidates) and `MEASURE_best` (expected best of as many candidates as all have); of every
    system, against every ceiling (split "ceiling:NAME"): `portion` of both, 0 at base and 1 at the
    ceiling, and `gap_to_ceiling`, with the verdict in its note. The teacher's own other samples go
    by its name."""
    oracles = {e.name: e.oracle for e in entries}
    unit = UNITS.get(c.measure, "similarity")
    for metric, values in _metrics(c):
        best = f"expected best of {c.candidates} candidates" if metric.endswith("_best") else None
        for system, x in values.items():
            if metric.endswith("_best") and not c.candidates:
                continue
            known = x[np.isfinite(x)]
            own = (
                "ceiling: the teacher's other samples against its sample 0"
                if system == SELF
                else None
            )
            yield Measurement.estimated(
                intervals.mean(known, seed=seed),
                STUDY,
                task,
                metric,
                teacher if system == SELF else system,
                judge=c.judge,
                unit=unit,
                note=_joined(best, own, oracles.get(system), c.note),
            )
    for metric, values, portions, verdicts in (
        (f"{c.measure}_similarity", c.similarity, c.portions, c.verdicts),
        (f"{c.measure}_best", c.best, c.best_portions, c.best_verdicts),
    ):
        for (system, ceiling), e in portions.items():
            split = f"ceiling:{teacher if ceiling == SELF else ceiling}"
            common: dict[str, Any] = {"judge": c.judge, "of": metric, "split": split}
            yield Measurement.estimated(
                e,
                STUDY,
                task,
                "portion",
                system,
                **common,
                note=_joined(e.note, oracles.get(system)),
            )
            keep = np.isfinite(values[system]) & np.isfinite(values[ceiling])
            gap = intervals.difference(values[system][keep], values[ceiling][keep], seed=seed)
            note = _joined(verdicts[system, ceiling].sentence(), oracles.get(system))
            yield Measurement.estimated(
                gap, STUDY, task, "gap_to_ceiling", system, **common, unit=unit, note=note
            )


def verdict_rows(
    c: Compared, entries: Sequence[Entry], *, teacher: str
) -> Iterator[dict[str, Any]]:
    """A row a system, ceiling and statistic: all that the equivalence test says."""
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
                "oracle": oracles.get(system),
            }


def answer_rows(
    entries: Sequence[Entry], *, task: str, asked: int, seed: int = 0
) -> Iterator[Measurement]:
    """Of every system `answers` (a prompt), and `empty_rate`, the share of
    answers without a word."""
    for e in entries:
        counts = [len(some) for some in e.answers]
        missing = sum(max(0, asked - n) for n in counts)
        said = f"{missing} of {asked * len(counts)} answers are missing" if missing else None
        yield _counted("answers", e.name, counts, "answers a prompt", task, said, e.oracle)
        empty = [float(np.mean([not t.strip() for t in some])) for some in e.answers if some]
        yield Measurement.estimated(
            intervals.mean(empty, seed=seed),
            STUDY,
            task,
            "empty_rate",
            e.name,
            unit="share",
            note=e.oracle,
        )


def example_rows(
    counts: Mapping[str, tuple[Sequence[int], Sequence[int]]],
    oracles: Mapping[str, str | None],
    *,
    task: str,
) -> Iterator[Measurement]:
    """Of every in-context system how many examples its prompts show; counts: system -> (shown,
    dropped for the token budget)."""
    for system, (shown, dropped) in counts.items():
        over = sum(n > 0 for n in dropped)
        said = (
            (
                f"{sum(dropped)} examples dropped on {over} of {len(dropped)} prompts: prompt and "
                "answer would not fit"
            )
            if over
            else None
        )
        yield _counted(
            "examples", system, shown, "examples a prompt", task, said, oracles.get(system)
        )


def _counted(
    metric: str,
    system: str,
    counts: Sequence[int],
    unit: str,
    task: str,
    said: str | None,
    oracle: str | None,
) -> Measurement:
    """A mean of what was done; without an interval, since it estimates nothing."""
    note = _joined(said, "counted, not estimated: no interval", oracle)
    return Measurement(
        STUDY, task, metric, system, float(np.mean(counts)), len(counts), unit=unit, note=note
    )


def _metrics(c: Compared) -> tuple[tuple[str, dict[str, np.ndarray]], ...]:
    return (f"{c.measure}_similarity", c.similarity), (f"{c.measure}_best", c.best)


def _flat(v: Verdict) -> dict[str, Any]:
    found = asdict(v)
    return {"verdict": found.pop("word"), **found}


def _joined(*notes: str | None) -> str | None:
    return "; ".join(n for n in notes if n) or None
