"""Judging stored answers, and comparing two judges on the same ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from veneer.foundation.errors import InputError
from veneer.foundation.files import folder_lock, sha256_file, sha256_text
from veneer.foundation.results import Measurement, Results
from veneer.foundation.run_record import RunRecord
from veneer.judges.judge import Judge
from veneer.judges.llm import LLMJudge, Outcome
from veneer.prompts.prompt import Prompt
from veneer.report import write_report
from veneer.statistics import intervals
from veneer.statistics.intervals import Estimate
from veneer.studies.judging.verdicts import VerdictRow, read_verdicts, verdicts, write_verdicts
from veneer.systems.responses import Response, read_responses

Progress = Callable[[int, int, str], None]
Extra = Callable[[Sequence[VerdictRow]], Sequence[Measurement]]
STUDY = "judge"


def matched(
    files: Sequence[Path], prompts: Sequence[Prompt], *, partly: bool = False
) -> list[tuple[Prompt, Response]]:
    """The answers in the files with their prompts, by prompt_id. partly: answers to other prompts
    are left out, because only some of the prompts were asked for. Raises InputError for an answer
    without a prompt or one that stands there twice."""
    if not files:
        raise InputError(
            "no file of responses is given; expected some that `veneer generate` or `veneer "
            "run` wrote"
        )
    by_id = {p.id: p for p in prompts}
    seen: dict[tuple[str, str, int], Path] = {}
    found, strange = [], []
    for path in files:
        for response in read_responses(path):
            if response.prompt_id not in by_id:
                strange.append((path, response.prompt_id))
                continue
            key = (response.system, response.prompt_id, response.sample_id)
            if key in seen:
                raise InputError(
                    f"{path} holds sample {response.sample_id} of {response.system} for "
                    f"{response.prompt_id!r}, as does {seen[key]}; give each answer once"
                )
            seen[key] = path
            found.append((by_id[response.prompt_id], response))
    if strange and not partly:
        raise InputError(
            f"{len(strange)} answers have no prompt, first {strange[0][1]!r} of {strange[0][0]}; "
            f"expected the ids of the prompts given, such as {next(iter(by_id), '')!r}: give the "
            "task, split or prompt file that was answered"
        )
    if not found:
        raise InputError(
            f"none of the {len(strange)} answers has a prompt among those given; give the task or "
            "file that was answered"
        )
    return found


def judge_responses(
    files: Sequence[Path],
    prompts: Sequence[Prompt],
    judges: Sequence[Judge],
    out: Path,
    *,
    said: Mapping[str, Any],
    clusters: Mapping[str, str] | None = None,
    partly: bool = False,
    seed: int = 0,
    extra: Extra | None = None,
    progress: Progress | None = None,
) -> tuple[Results, list[VerdictRow], dict[str, Any]]:
    """Judge answers; writes verdicts.jsonl, results.jsonl, run.json and report.html into `out`.
    Returns results, verdicts and what the judges used.

    said: what a second run of the same command must share. clusters: prompt id -> group, where
    prompts are not independent. extra: rows made of all verdicts (agreement). Judgements that
    failed for want of a reply leave the run unfinished, so that the same command asks for those
    again and for no others.
    """
    pairs = matched(files, prompts, partly=partly)
    asked = sha256_text("\n".join(f"{p.task}/{p.id}: {p.messages}" for p, _ in pairs))
    config = {
        **said,
        "judges": [j.id for j in judges],
        "seed": seed,
        "prompts": asked,
        "responses": [[f.name, sha256_file(f)] for f in files],
    }
    with folder_lock(out):
        record = RunRecord(out, "judge", config)
        new = not record.path.is_file()
        if record.finished:
            return (
                Results.read(out / "results.jsonl"),
                read_verdicts(out / "verdicts.jsonl"),
                record.found.get("usage", {}),
            )
        try:
            record.note(judges={j.id: {"name": j.name, "note": j.note} for j in judges})
            rows: list[VerdictRow] = []
            for judge in judges:
                with record.stage(f"judging: {judge.name}"):
                    rows += verdicts(judge, [p for p, _ in pairs], [r for _, r in pairs], progress)
            results = Results(rows_of(rows, judges, clusters, seed))
            results.extend(unfinished_rows(pairs, clusters, seed))
            results.extend(extra(rows) if extra else ())
        except InputError:
            if new:
                record.path.unlink(missing_ok=True)
            raise
        used = {j.id: asdict(j.usage) for j in judges if isinstance(j, LLMJudge)}
        record.note(
            usage=used,
            outcomes=_outcomes(rows),
            judges={j.id: {"name": j.name, "note": j.note} for j in judges},
        )
        write_verdicts(out / "verdicts.jsonl", rows)
        results.write(out / "results.jsonl")
        if not any(r.outcome == Outcome.FAILED for r in rows):
            record.finish()
        write_report([out], out / "report.html")
        return results, rows, used


def _outcomes(rows: Sequence[VerdictRow]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for r in rows:
        found.setdefault(r.judge, Counter())[r.outcome] += 1
    return {judge: dict(sorted(c.items())) for judge, c in found.items()}


def rows_of(
    rows: Sequence[VerdictRow],
    judges: Sequence[Judge],
    clusters: Mapping[str, str] | None,
    seed: int,
) -> Iterator[Measurement]:
    """A row a task, system, judge and metric, over the answers with a verdict; and the share of
    answers without one."""
    for judge in judges:
        mine = [r for r in rows if r.judge == judge.id]
        for task, system in dict.fromkeys((r.task, r.system) for r in mine):
            some = [r for r in mine if (r.task, r.system) == (task, system)]
            for metric, unit in judge.metrics.items():
                values = {r.answer: r.metrics[metric] for r in some}
                e = _by_prompt(values, clusters, seed)
                yield _estimated(e, task, metric, system, judge.id, unit, judge.note)
            without = {r.answer: float(all(v is None for v in r.metrics.values())) for r in some}
            counts = Counter(
                r.outcome for r in some if r.outcome not in (Outcome.JUDGED, Outcome.RULE)
            )
            note = ", ".join(f"{n} {o}" for o, n in sorted(counts.items())) or None
            yield _estimated(
                _by_prompt(without, clusters, seed),
                task,
                f"{judge.name}_unscored_rate",
                system,
                judge.id,
                "share",
                note,
            )


def unfinished_rows(
    pairs: Sequence[tuple[Prompt, Response]], clusters: Mapping[str, str] | None, seed: int
) -> Iterator[Measurement]:
    """The share of answers that were cut within their reasoning, of each task and system that wrote
    any reasoning: no judge's verdict says anything of these."""
    for task, system in dict.fromkeys(
        (p.task, r.system) for p, r in pairs if r.reasoning is not None
    ):
        some = [r for p, r in pairs if (p.task, r.system) == (task, system)]
        values: dict[tuple, float | None] = {
            (task, r.prompt_id, r.sample_id, system): float(r.unfinished) for r in some
        }
        yield Measurement.estimated(
            _by_prompt(values, clusters, seed), STUDY, task, "unfinished_rate", system, unit="share"
        )


def _by_prompt(
    values: Mapping[tuple, float | None], clusters: Mapping[str, str] | None, seed: int
) -> Estimate:
    """Mean over prompts of the mean over each one's samples that have a value."""
    by_id: dict[str, list[float]] = {}
    for (_, prompt_id, _, _), value in values.items():
        if value is not None:
            by_id.setdefault(prompt_id, []).append(value)
    means = [float(np.mean(v)) for v in by_id.values()]
    groups = None if clusters is None else np.array([clusters.get(i, i) for i in by_id])
    return intervals.mean(means, seed=seed, clusters=groups)


def _estimated(
    e: Estimate, task: str, metric: str, system: str, judge: str, unit: str, note: str | None
) -> Measurement:
    said = "; ".join(x for x in (e.note, note) if x) or None
    return Measurement.estimated(e, STUDY, task, metric, system, judge=judge, unit=unit, note=said)
