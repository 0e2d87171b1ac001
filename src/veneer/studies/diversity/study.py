"""Diversity: is base's variety gone, filtered, or gathered into one answer (docs/diversity.md)?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from veneer.embed import Embedder
from veneer.foundation.errors import InputError
from veneer.foundation.files import file_name
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement, Results
from veneer.foundation.stages import Stage
from veneer.foundation.text import clean
from veneer.models.formats import PlainFormat
from veneer.models.sampling import Sampling
from veneer.prompts.clusters import clusters_by_id, each_text_once
from veneer.prompts.prompt import PLACE, Prompt
from veneer.studies.diversity.answers_table import Judgements, Material, by_prompt
from veneer.studies.diversity.rows_cross import coverage_rows, decomposition_rows
from veneer.studies.diversity.rows_judged import (
    filter_rows,
    new_rows,
    quality_rows,
    stance_filter_rows,
    stance_rows,
)
from veneer.studies.diversity.rows_own import measured, own_rows
from veneer.studies.diversity.settings import DiversitySettings
from veneer.studies.runner import run_study
from veneer.studies.study import Run
from veneer.systems.dated import dated_system
from veneer.systems.respond import respond
from veneer.systems.system import Answering

Judging = Callable[[Material, Run], None]
"""Adds a judge's verdicts to the material (studies/diversity/judge_answers.py)."""


class QueryFormat(PlainFormat):
    """A fence around the prompt; the turns of a conversation stand in it as a transcript."""

    def text(self, prompt: Prompt) -> str:
        return self.template.replace(PLACE, prompt.plain)


QUERY_FORMAT = QueryFormat("# Query:\n```\n{prompt}\n```\n\n# Answer:\n```\n")
"""Base's prompt in arXiv 2406.17692; it stops at the closing fence."""
QUERY_STOP = ("```",)


def study_stored(
    material: Material,
    out: Path,
    method: DiversitySettings,
    *,
    embedder: Embedder | None = None,
    judging: Judging | None = None,
    settings: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Study existing answers and write the study folder `out`.

    judging: asks for judgements that are not stored. settings: more of the settings for run.json
    (files and their hashes), which a second run must share. facts: more for run.json (what an
    import left out). Raises InputError for answers that no figure can be made of.
    """
    study = StoredDiversity(material, method, embedder, judging, settings or {}, facts or {})
    return run_study(study, out, progress=progress)


def study_systems(
    load: Callable[[], Sequence[Answering]],
    prompts: Sequence[Prompt],
    out: Path,
    method: DiversitySettings,
    *,
    embedder: Embedder | None = None,
    judging: Judging | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Sample every system's answers (kept in OUT/responses), then as `study_stored`. load: gives
    the systems; not called where the folder is finished."""
    study = SampledDiversity(load, prompts, method, embedder, judging, settings or {})
    return run_study(study, out, progress=progress)


class DiversityStudy:
    """What the studies of stored and of sampled answers share: settings, judgements and rows."""

    name = "diversity"

    def __init__(
        self,
        method: DiversitySettings,
        embedder: Embedder | None,
        judging: Judging | None,
        settings: Mapping[str, Any],
    ):
        self.method, self.embedder, self.judging = method, embedder, judging
        self.more_settings = settings

    def settings(self) -> dict[str, Any]:
        embedder = None if self.embedder is None else self.embedder.id
        return {**self.more_settings, "embedder": embedder, "settings": self.method.to_json()}

    def _rows(self, run: Run, material: Material) -> Iterator[Measurement]:
        if self.judging is not None:
            with run.stage("judge"):
                self.judging(material, run)
        run.note(judges=sorted(_judges(material)))
        with run.stage("measure"):
            yield from diversity_rows(material, self.method, self.embedder, run.progress)


class StoredDiversity(DiversityStudy):
    """Existing answers. See `study_stored` for the arguments."""

    def __init__(
        self,
        material: Material,
        method: DiversitySettings,
        embedder: Embedder | None,
        judging: Judging | None,
        settings: Mapping[str, Any],
        facts: Mapping[str, Any],
    ):
        super().__init__(method, embedder, judging, settings)
        self.material, self.facts = material, facts

    def check(self) -> None:
        _check(self.material)

    def stages(self) -> tuple[Stage, ...]:
        judge = (Stage("judge"),) if self.judging is not None else ()
        return (*judge, Stage("measure"))

    def measure(self, run: Run) -> Iterator[Measurement]:
        run.note(seeds={"study": self.method.seed}, **self.facts)
        yield from self._rows(run, self.material)


class SampledDiversity(DiversityStudy):
    """Answers that systems give now. See `study_systems` for the arguments."""

    def __init__(
        self,
        load: Callable[[], Sequence[Answering]],
        prompts: Sequence[Prompt],
        method: DiversitySettings,
        embedder: Embedder | None,
        judging: Judging | None,
        settings: Mapping[str, Any],
    ):
        super().__init__(method, embedder, judging, settings)
        self.load, self.prompts = load, each_text_once(prompts)

    def check(self) -> None:
        """Whether the answers give a figure shows once they are sampled."""

    def stages(self) -> tuple[Stage, ...]:
        judge = (Stage("judge", unknown=True),) if self.judging is not None else ()
        # how many systems there are shows once they are loaded
        sample = Stage("sample", unknown=True, writes=("responses/",))
        return (Stage("load"), sample, *judge, Stage("measure"))

    def _sample_stage(self, systems: Sequence[Answering]) -> Stage:
        return Stage(
            "sample",
            prompts={self.prompts[0].task: len(self.prompts)},
            systems=tuple(s.name for s in systems),
            samples=self.method.samples,
            tokens=self.method.max_new_tokens,
            writes=("responses/",),
        )

    def measure(self, run: Run) -> Iterator[Measurement]:
        with run.stage("load"):
            systems = [dated_system(s, run.day) for s in self.load()]
        run.revise(self._sample_stage(systems))
        run.note(systems=[s.facts() for s in systems], seeds={"study": self.method.seed})
        answers = {system.name: self._sample(run, system) for system in systems}
        clusters = clusters_by_id((p.id for p in self.prompts), self.prompts)
        material = Material(
            self.prompts[0].task, answers, aspect=self.method.aspect, clusters=clusters
        )
        _check(material)
        yield from self._rows(run, material)

    def _sample(self, run: Run, system: Answering) -> dict[str, dict[int, str]]:
        """prompt -> sample -> answer."""
        method = self.method
        file = f"{file_name(self.prompts[0].task)}.{file_name(system.name)}.jsonl"
        with run.stage(f"sample {system.name}"):
            return by_prompt(
                respond(
                    system,
                    self.prompts,
                    Sampling(method.max_new_tokens, method.temperature, seed=method.seed),
                    batch_size=method.batch_size,
                    samples=method.samples,
                    out=run.out / "responses" / file,
                    progress=run.progress,
                )
            )


def diversity_rows(
    material: Material,
    method: DiversitySettings,
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
    values, prompts = measured(material, vectors, method.orders)
    seed = method.seed
    rows = [
        *own_rows(material, values, prompts, embedder=name, seed=seed),
        *quality_rows(material, seed=seed),
        *filter_rows(material, vectors, name, seed=seed),
        *decomposition_rows(material, vectors, threshold=None, embedder=name, seed=seed),
        *coverage_rows(material, embedder=embedder, seed=seed),
        *stance_rows(material, seed=seed),
        *stance_filter_rows(material, seed=seed),
        *new_rows(material, seed=seed),
    ]
    if "base" in material.quality:
        rows += decomposition_rows(
            material, vectors, threshold=method.threshold, embedder=name, seed=seed
        )
    return rows


def _judges(material: Material) -> set[str]:
    kinds: tuple[Mapping[Any, Judgements], ...] = (
        material.quality,
        material.stance,
        material.novelty,
        material.topics,
    )
    return {j.judge for kind in kinds for j in kind.values()}


def _check(material: Material) -> None:
    """Raise InputError for answers or judgements that no figure can be made of."""
    if not material.answers:
        raise InputError(
            "there are no answers to study; give --responses NAME=FILE, or models with --base "
            "and --aligned"
        )
    names = list(material.answers)
    if not any(len(row) > 1 for table in material.answers.values() for row in table.values()):
        raise InputError(
            "no prompt has two answers of one system, and diversity compares pairs of answers; "
            "give two or more samples per prompt"
        )
    for name in names[1:]:
        if not material.shared(names[0], name):
            raise InputError(
                f"{names[0]} and {name} have no prompt in common; expected the same prompt ids in "
                "all files of answers"
            )
    judged = [("quality", s, j.values) for s, j in material.quality.items()]
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
