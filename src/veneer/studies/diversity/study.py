"""The diversity study: answers (sampled here or stored) in, what became of base's variety out. Rows
of study "diversity"."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from veneer.embed import Embedder
from veneer.foundation.errors import InputError
from veneer.foundation.files import file_name, folder_lock
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement, Results
from veneer.foundation.run_record import RunRecord
from veneer.foundation.text import clean
from veneer.models.decode import Sampling
from veneer.models.formats import PlainFormat
from veneer.prompts.prompt import PLACE, Prompt
from veneer.report import write_report
from veneer.studies.diversity.answers_table import Judgements, Material, by_prompt
from veneer.studies.diversity.rows_cross import coverage_rows, decomposition_rows
from veneer.studies.diversity.rows_judged import (
    filter_rows,
    helpfulness_rows,
    new_rows,
    stance_rows,
)
from veneer.studies.diversity.rows_own import measured, own_rows
from veneer.systems.dated import dated_system
from veneer.systems.respond import respond
from veneer.systems.system import Answering

Judging = Callable[[Material], None]
"""Puts judgements into the material (studies/diversity/judge_answers.py)."""


class QueryFormat(PlainFormat):
    """A fence around what is asked, turns of a conversation as a transcript inside one."""

    def text(self, prompt: Prompt) -> str:
        return self.template.replace(PLACE, prompt.plain)


QUERY_FORMAT = QueryFormat("# Query:\n```\n{prompt}\n```\n\n# Answer:\n```\n")
"""Base's prompt in arXiv 2406.17692; it stops at the closing fence."""
QUERY_STOP = ("```",)


@dataclass(frozen=True, slots=True)
class DiversityConfig:
    """samples, temperature, max_new_tokens, batch_size: of sampling; stored answers do not look at
    them. threshold: of helpfulness in the decomposition. orders: q of the Vendi scores (inf
    allowed). seed: of sampling and of the intervals."""

    samples: int = 5
    temperature: float = 0.5
    max_new_tokens: int = 256
    batch_size: int = 32
    threshold: float = 4.0
    orders: tuple[float, ...] = (1.0,)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("samples", "max_new_tokens", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected 1 or more")
        if self.samples > 1 and not self.temperature > 0:
            raise InputError(
                f"the temperature is {self.temperature}, at which all samples are equal; expected "
                "more than 0, such as 0.5"
            )
        if not self.orders or any(not q >= 0 for q in self.orders):
            raise InputError(
                f"the orders of the Vendi score are {list(self.orders)}; expected numbers of 0 or "
                "more, or inf"
            )

    def facts(self) -> dict[str, Any]:
        return {**asdict(self), "orders": [str(q) for q in self.orders]}


def study_stored(
    material: Material,
    out: Path,
    config: DiversityConfig,
    *,
    embedder: Embedder | None = None,
    said: dict[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
    judge: Judging | None = None,
    progress: Progress | None = None,
) -> Results:
    """The study of answers that are there already. said: of the configuration (files and their
    hashes), which a second run must share. facts: more for run.json (what an import dropped).
    judge: asks for judgements that are not stored."""
    with folder_lock(out):
        record = _record(
            out, config, {**(said or {}), "embedder": None if embedder is None else embedder.id}
        )
        if record.finished:
            return Results.read(out / "results.jsonl")
        record.note(seeds={"study": config.seed}, **(facts or {}))
        return _finish(material, out, config, record, embedder, judge, progress)


def study_systems(
    load: Callable[[], Sequence[Answering]],
    prompts: Sequence[Prompt],
    out: Path,
    config: DiversityConfig,
    *,
    embedder: Embedder | None = None,
    judge: Judging | None = None,
    said: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Sample every system's answers (resumable, in OUT/responses), then as `study_stored`. load:
    gives the systems; it is not called where the folder is finished already."""
    with folder_lock(out):
        record = _record(
            out, config, {**(said or {}), "embedder": None if embedder is None else embedder.id}
        )
        if record.finished:
            return Results.read(out / "results.jsonl")
        with record.stage("load"):
            systems = [dated_system(s, record.day) for s in load()]
        record.note(systems=[s.facts() for s in systems], seeds={"study": config.seed})
        sampling = Sampling(config.max_new_tokens, config.temperature, seed=config.seed)
        answers = {}
        for system in systems:
            with record.stage(f"sample {system.name}"):
                path = (
                    out
                    / "responses"
                    / f"{file_name(prompts[0].task)}.{file_name(system.name)}.jsonl"
                )
                answers[system.name] = by_prompt(
                    respond(
                        system,
                        prompts,
                        sampling,
                        batch_size=config.batch_size,
                        samples=config.samples,
                        out=path,
                        progress=progress,
                    )
                )
        return _finish(
            Material(prompts[0].task, answers), out, config, record, embedder, judge, progress
        )


def diversity_rows(
    material: Material,
    config: DiversityConfig,
    embedder: Embedder | None = None,
    progress: Progress | None = None,
) -> list[Measurement]:
    """Every row of the study."""
    vectors = (
        None
        if embedder is None
        else {s: _embedded(material, s, embedder, progress) for s in material.answers}
    )
    name = None if embedder is None else embedder.id
    found, prompts = measured(material, vectors, config.orders)
    seed = config.seed
    rows = [
        *own_rows(material, found, prompts, embedder=name, seed=seed),
        *helpfulness_rows(material, seed=seed),
        *filter_rows(material, vectors, name, seed=seed),
        *decomposition_rows(material, vectors, threshold=None, embedder=name, seed=seed),
        *coverage_rows(material, embedder=embedder, seed=seed),
        *stance_rows(material, seed=seed),
        *new_rows(material, seed=seed),
    ]
    if "base" in material.helpfulness:
        rows += decomposition_rows(
            material, vectors, threshold=config.threshold, embedder=name, seed=seed
        )
    return rows


def _record(out: Path, config: DiversityConfig, said: dict[str, Any]) -> RunRecord:
    return RunRecord(out, "diversity", {**said, "settings": config.facts()})


def _finish(
    material: Material,
    out: Path,
    config: DiversityConfig,
    record: RunRecord,
    embedder: Embedder | None,
    judge: Judging | None,
    progress: Progress | None,
) -> Results:
    _check(material)
    if judge is not None:
        with record.stage("judge"):
            judge(material)
    record.note(judges=sorted(_judges(material)))
    with record.stage("measure"):
        results = Results(diversity_rows(material, config, embedder, progress))
    results.write(out / "results.jsonl")
    with record.stage("report"):
        write_report([out], out / "report.html")
    record.finish()
    write_report([out], out / "report.html")  # once more, with all its seconds
    return results


def _judges(material: Material) -> set[str]:
    kinds: tuple[Mapping[Any, Judgements], ...] = (
        material.helpfulness,
        material.stance,
        material.novelty,
        material.topics,
    )
    return {j.judge for kind in kinds for j in kind.values()}


def _check(material: Material) -> None:
    """Refuse what would give no figure or a figure of something else."""
    if not material.answers:
        raise InputError(
            "there are no answers to study; give --responses NAME=FILE, or models with --base "
            "and --aligned"
        )
    names = list(material.answers)
    if not any(len(row) > 1 for table in material.answers.values() for row in table.values()):
        raise InputError(
            "no prompt has two answers of a system; diversity is of pairs: give two samples a "
            "prompt or more"
        )
    for name in names[1:]:
        if not material.shared(names[0], name):
            raise InputError(
                f"{names[0]} and {name} have no prompt in common; expected the same prompt ids in "
                "all files of answers"
            )
    judged = [("quality", s, j.values) for s, j in material.helpfulness.items()]
    for kind, system, values in judged:
        if system not in material.answers:
            raise InputError(
                f"there are judgements of {kind} for {system!r}, which has no answers; expected "
                f"one of {', '.join(names)}"
            )
        if not set(values) & set(material.answers[system]):
            raise InputError(
                f"the judgements of {kind} for {system} are about other prompts than its answers; "
                "expected the same prompt ids"
            )


def _embedded(
    material: Material, system: str, embedder: Embedder, progress: Progress | None
) -> dict[str, np.ndarray]:
    """prompt -> (n, d), cleaned answers in the order of the samples."""
    texts = {p: [clean(t) for t in material.texts(system, p)] for p in material.answers[system]}
    say = (
        None
        if progress is None
        else lambda done, total, _: progress(done, total, f"embed {system}")
    )
    vectors = embedder.embed([t for row in texts.values() for t in row], say)
    ends = np.cumsum([len(row) for row in texts.values()])
    return dict(zip(texts, np.split(vectors, ends[:-1]), strict=True))
