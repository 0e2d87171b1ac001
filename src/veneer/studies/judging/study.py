"""Judging stored answers, and comparing two judges on the same ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from veneer.foundation.errors import InputError
from veneer.foundation.files import read_json, sha256_input, sha256_text
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement, Results, join_notes
from veneer.foundation.stages import Stage
from veneer.imports.joined import one_within_the_other
from veneer.imports.registry import PROMPTS
from veneer.judges.judge import Judge
from veneer.judges.llm import LLMJudge, Outcome
from veneer.measures.clusters import of_ids
from veneer.prompts.clusters import clusters_by_id
from veneer.prompts.files import read_prompts
from veneer.prompts.numbers import check_numbers
from veneer.prompts.prompt import Prompt
from veneer.statistics import intervals
from veneer.statistics.intervals import Estimate
from veneer.studies.judging import words
from veneer.studies.judging.compare import agreement_rows, compare, sides
from veneer.studies.judging.names import STUDY
from veneer.studies.judging.verdicts import VerdictRow, read_verdicts, verdicts, write_verdicts
from veneer.studies.runner import run_study
from veneer.studies.study import Run
from veneer.systems.responses import Response, read_responses

VERDICTS = "verdicts.jsonl"


class JudgedAnswers(NamedTuple):
    """results: the rows. verdicts: one per judge and answer. usage: judge's id -> what its model
    was sent, read and cost."""

    results: Results
    verdicts: list[VerdictRow]
    usage: dict[str, Any]


def judge_responses(
    files: Sequence[Path],
    prompts: Sequence[Prompt],
    judges: Sequence[Judge],
    out: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    partly: bool = False,
    compared: Sequence[str] = (),
    seed: int = 0,
    progress: Progress | None = None,
) -> JudgedAnswers:
    """Judge answers; writes verdicts.jsonl, results.jsonl, run.json and report.html into `out`.

    files: answers of `veneer generate` or of a study. settings: more of the settings for run.json,
    which a second run must share.
    partly: answers to other prompts are left out instead of refused. compared: two judges or files
    of verdicts, whose agreement is measured too. Judgements that failed for want of a reply leave
    the run unfinished, so that the same command asks for those again and for no others. Raises
    InputError for an answer without a prompt or a repeated one.
    """
    study = JudgingStudy(files, prompts, judges, settings or {}, partly, compared, seed)
    results = run_study(study, out, progress=progress)
    if not (out / VERDICTS).is_file():
        raise InputError(
            f"{out} holds the record of a finished run without its {VERDICTS}; copy the whole "
            "folder again, or delete it and run the same command again"
        )
    record = read_json(out / "run.json", "the record of a run")
    return JudgedAnswers(results, read_verdicts(out / VERDICTS), record.get("usage", {}))


class JudgingStudy:
    """Judges on stored answers. See `judge_responses` for the arguments."""

    name = "judge"

    def __init__(
        self,
        files: Sequence[Path],
        prompts: Sequence[Prompt],
        judges: Sequence[Judge],
        settings: Mapping[str, Any],
        partly: bool,
        compared: Sequence[str],
        seed: int,
    ):
        self.files, self.prompts, self.judges = files, prompts, judges
        self.more_settings, self.partly = settings, partly
        self.compared, self.seed = compared, seed

    @cached_property
    def pairs(self) -> list[tuple[Prompt, Response]]:
        return matched(self.files, self.prompts, partly=self.partly)

    def settings(self) -> dict[str, Any]:
        prompts = "\n".join(f"{p.task}/{p.id}: {p.messages}" for p, _ in self.pairs)
        expected = "a file of answers"
        return {
            **self.more_settings,
            "compare": list(self.compared),
            "judges": [j.id for j in self.judges],
            "seed": self.seed,
            "prompts": sha256_text(prompts),
            "responses": [[f.name, sha256_input(f, expected)] for f in self.files],
        }

    def check(self) -> None:
        """Answers and prompts are matched already: their hash is one of the settings."""

    def stages(self) -> tuple[Stage, ...]:
        count, tasks = len(self.pairs), Counter(p.task for p, _ in self.pairs)
        return tuple(
            Stage(f"judging: {judge.name}", prompts=tasks, share=count, writes=(VERDICTS,))
            for judge in self.judges
        )

    def measure(self, run: Run) -> Iterator[Measurement]:
        self._note_judges(run)
        prompts, responses = [p for p, _ in self.pairs], [r for _, r in self.pairs]
        rows: list[VerdictRow] = []
        for judge in self.judges:
            with run.stage(f"judging: {judge.name}"):
                rows += verdicts(judge, prompts, responses, run.progress)
        clusters = clusters_by_id((p.id for p in self.prompts), self.prompts)
        if clusters is not None:
            rows = [replace(r, cluster=clusters[r.prompt_id]) for r in rows]
        yield from rows_of(rows, self.judges, clusters, self.seed)
        yield from unfinished_rows(self.pairs, clusters, self.seed)
        if self.compared:
            first, second = self.compared
            a, b = sides((first, second), rows)
            yield from agreement_rows(compare(a, b, seed=self.seed))
        usage = {j.id: asdict(j.usage) for j in self.judges if isinstance(j, LLMJudge)}
        run.note(usage=usage, outcomes=_outcomes(rows))
        self._note_judges(run)  # once more: a judge's note counts what it left undecided
        write_verdicts(run.out / VERDICTS, rows)
        if any(r.outcome == Outcome.FAILED for r in rows):
            run.leave_incomplete()

    def _note_judges(self, run: Run) -> None:
        run.note(judges={j.id: {"name": j.name, "note": j.note} for j in self.judges})


def matched(
    files: Sequence[Path], prompts: Sequence[Prompt], *, partly: bool = False
) -> list[tuple[Prompt, Response]]:
    """The answers in the files with their prompts, by prompt_id. partly: answers to other prompts
    are left out. Raises InputError for an answer without a prompt or a repeated one."""
    if not files:
        raise InputError(
            "no file of responses is given; expected some that `veneer generate` or `veneer "
            "run` wrote"
        )
    by_id = {p.id: p for p in prompts}
    first: dict[tuple[str, str, int], Path] = {}
    pairs, strange = [], []
    for path in files:
        _check_texts(path, by_id)
        responses = read_responses(path)
        check_numbers((r.prompt_id for r in responses), [p.id for p in prompts], path)
        for response in responses:
            if response.prompt_id not in by_id:
                strange.append((path, response.prompt_id))
                continue
            key = (response.system, response.prompt_id, response.sample_id)
            if key in first:
                raise InputError(
                    f"{path} holds sample {response.sample_id} of {response.system} for "
                    f"{response.prompt_id!r}, as does {first[key]}; give each answer once, and "
                    "several answers to one prompt with their numbers as sample_id, from 0 "
                    "(`veneer import` numbers them)"
                )
            first[key] = path
            pairs.append((by_id[response.prompt_id], response))
    if strange and not partly:
        raise InputError(
            f"{len(strange)} answers have no prompt, first {strange[0][1]!r} of {strange[0][0]}; "
            f"expected the ids of the prompts given, such as {next(iter(by_id), '')!r}: give the "
            "task, split or prompt file that was answered"
        )
    if not pairs:
        raise InputError(
            f"none of the {len(strange)} answers has a prompt among those given; give the task or "
            "file that was answered"
        )
    return pairs


def _check_texts(path: Path, prompts: Mapping[str, Prompt]) -> None:
    """Raise InputError where `veneer import` found other prompts in a file than `prompts` (by id):
    it numbers those that have no ids of their own."""
    beside = path.with_name(path.name + PROMPTS)
    for own in read_prompts(str(beside)) if beside.is_file() else ():
        given = prompts.get(own.id)
        if given is not None and not one_within_the_other(own, given):
            raise InputError(
                f"{path} answers {own.text[:60]!r} as the prompt {own.id!r}, and the prompts given "
                f"have {given.text[:60]!r}; give the prompts of that file: --prompts {beside}"
            )


def _outcomes(rows: Sequence[VerdictRow]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for r in rows:
        counts.setdefault(r.judge, Counter())[r.outcome] += 1
    return {judge: dict(sorted(c.items())) for judge, c in counts.items()}


def rows_of(
    rows: Sequence[VerdictRow],
    judges: Sequence[Judge],
    clusters: Mapping[str, str] | None,
    seed: int,
) -> Iterator[Measurement]:
    """One row per task, system, judge and metric, over the answers with a verdict; and the share
    of answers without one."""
    for judge in judges:
        mine = [r for r in rows if r.judge == judge.id]
        for task, system in dict.fromkeys((r.task, r.system) for r in mine):
            answers = [r for r in mine if (r.task, r.system) == (task, system)]
            for metric, unit in judge.metrics.items():
                values = {r.answer: r.metrics[metric] for r in answers}
                e = _by_prompt(values, clusters, seed, unit)
                yield _estimated(e, task, metric, system, judge.id, unit, judge.note)
            without = {r.answer: float(all(v is None for v in r.metrics.values())) for r in answers}
            counts = Counter(
                r.outcome for r in answers if r.outcome not in (Outcome.JUDGED, Outcome.RULE)
            )
            facts = {"outcomes": dict(sorted(counts.items()))}
            yield _estimated(
                _by_prompt(without, clusters, seed),
                task,
                f"{judge.name}_unscored_rate",
                system,
                judge.id,
                "share",
                words.outcomes_note(facts),
                facts,
            )


def unfinished_rows(
    pairs: Sequence[tuple[Prompt, Response]], clusters: Mapping[str, str] | None, seed: int
) -> Iterator[Measurement]:
    """The share of answers that were cut within their reasoning, of each task and system that wrote
    any reasoning: a judge's verdict says nothing about these."""
    for task, system in dict.fromkeys(
        (p.task, r.system) for p, r in pairs if r.reasoning is not None
    ):
        responses = [r for p, r in pairs if (p.task, r.system) == (task, system)]
        values: dict[tuple, float | None] = {
            (task, r.prompt_id, r.sample_id, system): float(r.unfinished) for r in responses
        }
        yield Measurement.estimated(
            _by_prompt(values, clusters, seed), STUDY, task, "unfinished_rate", system, unit="share"
        )


def _by_prompt(
    values: Mapping[tuple, float | None],
    clusters: Mapping[str, str] | None,
    seed: int,
    unit: str = "share",
) -> Estimate:
    """Mean over prompts of the mean over each one's samples that have a value."""
    by_id: dict[str, list[float]] = {}
    for (_, prompt_id, _, _), value in values.items():
        if value is not None:
            by_id.setdefault(prompt_id, []).append(value)
    means = [float(np.mean(v)) for v in by_id.values()]
    groups = of_ids(clusters, list(by_id))
    return intervals.in_unit(means, unit, seed=seed, clusters=groups)


def _estimated(
    e: Estimate,
    task: str,
    metric: str,
    system: str,
    judge: str,
    unit: str,
    note: str | None,
    facts: Mapping[str, Any] | None = None,
) -> Measurement:
    note = join_notes(e.note, note)
    return Measurement.estimated(
        e, STUDY, task, metric, system, judge=judge, unit=unit, note=note, facts=facts
    )
