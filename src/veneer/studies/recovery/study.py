"""Recovery: how near in-context prompts, a veneer or any other system bring a base model to its
aligned one (docs/recovery.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from veneer.embed import Embedder, load_embedder
from veneer.foundation.errors import InputError
from veneer.foundation.files import json_lines, sha256_input, sha256_text, write_text
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement, Results
from veneer.foundation.stages import Stage
from veneer.head.veneer import Veneer
from veneer.imports.joined import join_answers
from veneer.judges.asker import Asker, asker_of
from veneer.judges.config import JudgeConfig
from veneer.judges.local_asker import LocalAsker
from veneer.measures.clusters import of_ids
from veneer.models.pair import Pair
from veneer.prompts.clusters import clusters_by_id, each_text_once
from veneer.prompts.prompt import Prompt
from veneer.studies.recovery import words
from veneer.studies.recovery.answers import InContext
from veneer.studies.recovery.bertscore import BertScore, encoder_weights
from veneer.studies.recovery.compare import Entry, PlacedSystems, RecoveryScale, compare, placed
from veneer.studies.recovery.prompts import query
from veneer.studies.recovery.rows import answer_rows, example_rows, rows, verdict_rows
from veneer.studies.recovery.settings import RecoverySettings
from veneer.studies.recovery.similarity import (
    Embedded,
    JudgedSimilarity,
    Lexical,
    Measure,
)
from veneer.studies.recovery.stored import line_up, read_answers, read_scores
from veneer.studies.runner import run_study
from veneer.studies.study import Run
from veneer.systems.responses import Response
from veneer.systems.system import Answering

Systems = Callable[[], Sequence[Answering]]


def recover_stored(
    teacher: tuple[str, Path],
    responses: Mapping[str, Path],
    out: str | Path,
    method: RecoverySettings | None = None,
    *,
    judge: JudgeConfig | None = None,
    base: str = "base",
    peers: Sequence[str] = (),
    oracles: Sequence[str] = (),
    format: str = "auto",
    scores: Sequence[Path] = (),
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Compare stored answers (any format of `imports`) with the teacher's and write a study folder.

    teacher: (name, file). responses: name -> file. base: the name of the scale's zero. peers: names
    of other aligned models, each a ceiling of its own. oracles: names of systems that have seen the
    test answers. scores: stored BERTScore files with the teacher as reference. settings: more of
    the settings for run.json, which a second run must share. Raises InputError for unknown names,
    before anything is written.
    """
    study = StoredRecovery(
        teacher,
        responses,
        replace(method or RecoverySettings(), variants=()),
        judge or JudgeConfig(),
        base,
        peers,
        oracles,
        format,
        scores,
        settings or {},
    )
    return run_study(study, out, progress=progress)


def recover_models(
    load: Callable[[], Pair],
    prompts: Sequence[Prompt],
    out: str | Path,
    method: RecoverySettings | None = None,
    *,
    judge: JudgeConfig | None = None,
    veneer: Veneer | None = None,
    more: Systems | None = None,
    peers: Systems | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Let base, base in context, the veneer, any further systems and the aligned model answer the
    prompts, and compare.

    load: gives the pair; not called where the folder is finished. judge: the judge model of the
    measure "judge", which also writes summaries. more: further systems for the same scale (a
    shifted one), peers: other aligned models. settings: more of the settings for run.json, which a
    second run must share. Raises InputError where `out` was made with other settings, or where
    prompts are too few for a variant.
    """
    study = ModelRecovery(
        load,
        prompts,
        method or RecoverySettings(),
        judge or JudgeConfig(),
        veneer,
        more,
        peers,
        settings or {},
    )
    return run_study(study, out, progress=progress)


@dataclass(frozen=True)
class RecoveryAnswers:
    """What a recovery study compares.

    teacher: its name. references: its answers by prompt, sample 0 first. base: the name of the
    scale's zero. stored: comparisons made from stored similarities. more: further rows. clusters:
    (n,) one id per prompt, the same for prompts that are not independent; None where all are.
    """

    teacher: str
    references: Sequence[Sequence[str]]
    entries: Sequence[Entry]
    base: str = "base"
    task: str = "prompts"
    stored: Sequence[PlacedSystems] = ()
    more: Sequence[Measurement] = ()
    clusters: np.ndarray | None = None


class RecoveryStudy:
    """What the studies of stored answers and of models share: measures, rows and verdicts."""

    name = "recover"

    def __init__(self, method: RecoverySettings, judge: JudgeConfig, settings: Mapping[str, Any]):
        self.method = method
        self.judge = judge
        self.more_settings = settings

    def _check_models(self) -> None:
        """Raises InputError where a judge model is needed and none is given, and where the encoder
        is none."""
        if self.method.encoder is not None:
            encoder_weights(Path(self.method.encoder))
        if self.judge.url or self.judge.model or self.judge.local:
            return
        if self.method.needs_summaries:
            raise InputError(
                "the summary variants need somebody who writes summaries; give a judge model "
                "(--judge-url and --judge-model, or --judge-local), or --own-summaries: the "
                "aligned model itself"
            )
        if self.method.needs_judge:
            raise InputError(
                "the measure judge needs a judge model; give --judge-url and --judge-model, or "
                "--judge-local MODEL"
            )

    def _settings(self) -> dict[str, Any]:
        return {**self.method.to_json(), "judges": self.judge.facts()}

    def _judge_config(self, run: Run) -> JudgeConfig:
        return replace(self.judge, cache=self.judge.cache or run.out / "verdicts")

    def _asker(self, run: Run) -> Asker | None:
        """The judge model, where there is something to ask."""
        return asker_of(self._judge_config(run)) if self.method.needs_judge else None

    def _measures(
        self, queries: Sequence[str], asker: Asker | None, embedder: Embedder | None
    ) -> list[Measure]:
        measures: list[Measure] = []
        for name in dict.fromkeys(self.method.measures):
            if name == "lexical":
                measures.append(Lexical())
            elif name == "embedding":
                assert embedder is not None
                measures.append(Embedded(embedder))
            elif name == "judge":
                assert asker is not None
                measures.append(JudgedSimilarity(asker, queries))
            else:
                assert self.method.encoder is not None
                measures.append(BertScore(self.method.encoder, self.method.encoder_layer))
        return measures

    def _embedder(self) -> Embedder | None:
        method = self.method
        return load_embedder(method.embedder, cut=method.cut) if method.needs_embedder else None

    def _scale(self, base: str, clusters: np.ndarray | None) -> RecoveryScale:
        method = self.method
        return RecoveryScale(base, method.margin, method.absolute_margin, method.seed, clusters)

    def _rows(
        self, run: Run, answers: RecoveryAnswers, measures: Sequence[Measure]
    ) -> Iterator[Measurement]:
        """Compare by every measure; verdicts.jsonl is written along the way."""
        method, teacher, entries = self.method, answers.teacher, answers.entries
        comparisons = list(answers.stored)
        for measure in measures:
            with run.stage(f"compare {measure.name}"):
                comparisons.append(
                    compare(
                        measure,
                        answers.references,
                        entries,
                        self._scale(answers.base, answers.clusters),
                        run.progress,
                    )
                )
        verdicts: list[dict[str, Any]] = []
        for c in comparisons:
            yield from rows(c, entries, teacher=teacher, task=answers.task, seed=method.seed)
            verdicts += verdict_rows(c, entries, teacher=teacher)
        yield from answer_rows(
            [*entries, Entry(teacher, answers.references)],
            task=answers.task,
            expected=max(len(samples) for samples in answers.references),
            seed=method.seed,
            clusters=answers.clusters,
        )
        yield from answers.more
        write_text(run.out / "verdicts.jsonl", json_lines(verdicts))
        run.note(
            scale={
                "zero": answers.base,
                "one": teacher,
                "margin": words.margin(method.margin, method.absolute_margin),
                "margin_share": None if method.absolute_margin is not None else method.margin,
            }
        )


class StoredRecovery(RecoveryStudy):
    """Stored answers on one scale. See `recover_stored` for the arguments."""

    def __init__(
        self,
        teacher: tuple[str, Path],
        responses: Mapping[str, Path],
        method: RecoverySettings,
        judge: JudgeConfig,
        base: str,
        peers: Sequence[str],
        oracles: Sequence[str],
        format: str,
        scores: Sequence[Path],
        settings: Mapping[str, Any],
    ):
        super().__init__(method, judge, settings)
        self.teacher, file = teacher
        self.files = {self.teacher: file, **responses}
        self.base, self.peers, self.oracles = base, peers, oracles
        self.format = format
        self.score_files = scores
        for name in (base, *peers, *oracles):
            if name not in responses:
                raise InputError(
                    f"there are no answers of {name!r}; found {', '.join(responses) or 'none'}: "
                    "name it in --responses"
                )
        if self.teacher in responses:
            raise InputError(
                f"the teacher's name {self.teacher!r} is among the responses too; give the "
                "teacher's answers once"
            )

    def settings(self) -> dict[str, Any]:
        files = {**self.files, **{path.name: path for path in self.score_files}}
        return {
            **self.more_settings,
            "files": {n: sha256_input(p, "a file of stored answers") for n, p in files.items()},
            "base": self.base,
            "peers": list(self.peers),
            "settings": self._settings(),
        }

    def check(self) -> None:
        self._check_models()
        imported = {n: read_answers(path, n, self.format) for n, path in self.files.items()}
        joined = join_answers(imported)
        answers = {name: file.responses for name, file in imported.items()}
        self.notes = [*(line for file in imported.values() for line in file.summary()), *joined]
        # the first file that has a prompt decides: the teacher's, then in the order given
        self.prompts: dict[str, Prompt] = {}
        for file in imported.values():
            self.prompts = {**{p.id: p for p in file.prompts}, **self.prompts}
        self.lined_up = line_up(answers.pop(self.teacher), answers)
        self.queries = [
            query(self.prompts[i]) if i in self.prompts else "" for i in self.lined_up.ids
        ]
        if self.score_files and "bertscore" in self.method.measures:
            raise InputError(
                "BERTScore is both stored and to be computed; leave bertscore out of --measures, "
                "or --bertscore"
            )
        self.scores, self.scored_ids, self.hashcode = read_scores(self.score_files, self.teacher)

    def stages(self) -> tuple[Stage, ...]:
        return (Stage("compare", writes=("verdicts.jsonl",)),)

    def measure(self, run: Run) -> Iterator[Measurement]:
        measures = self._measures(self.queries, self._asker(run), self._embedder())
        run.note(
            imported=[*self.notes, *self.lined_up.notes], seeds={"intervals": self.method.seed}
        )
        entries = [
            Entry(s, a, "test-answers" if s in self.oracles else None, s in self.peers)
            for s, a in self.lined_up.systems.items()
        ]
        stored = []
        if self.scores:
            judge = f"bertscore {self.hashcode}"
            by_id = clusters_by_id(self.scored_ids, self.prompts.values())
            scale = self._scale(self.base, of_ids(by_id, self.scored_ids))
            stored.append(placed(self.scores, "bertscore", judge, None, scale, self.peers))
        answers = RecoveryAnswers(
            self.teacher,
            self.lined_up.teacher,
            entries,
            self.base,
            "prompts",
            stored,
            clusters=self.lined_up.clusters(self.prompts.values()),
        )
        yield from self._rows(run, answers, measures)


class ModelRecovery(RecoveryStudy):
    """Models that answer prompts, on one scale. See `recover_models` for the arguments."""

    def __init__(
        self,
        load: Callable[[], Pair],
        prompts: Sequence[Prompt],
        method: RecoverySettings,
        judge: JudgeConfig,
        veneer: Veneer | None,
        more: Systems | None,
        peers: Systems | None,
        settings: Mapping[str, Any],
    ):
        super().__init__(method, judge, settings)
        self.load, self.prompts, self.veneer = load, each_text_once(prompts), veneer
        self.more, self.peers = more, peers

    def settings(self) -> dict[str, Any]:
        texts = json_lines([p.id, p.task, list(p.messages), p.plain] for p in self.prompts)
        return {
            **self.more_settings,
            "prompts": {"count": len(self.prompts), "sha256": sha256_text(texts)},
            "settings": self._settings(),
        }

    def check(self) -> None:
        self._check_models()
        least = max((v.k for v in self.method.prompts if v.chosen), default=0) + 1
        if len(self.prompts) < max(least, 1):
            raise InputError(
                f"found {len(self.prompts)} prompts; the variants need at least {least}, so that "
                "each has others as examples: give more prompts, a larger --limit where it is "
                "given, or other --variants"
            )
        if self.method.samples < 2:
            raise InputError(
                "one sample per prompt gives the aligned model no other samples, which are the "
                "ceiling; give --samples 2 or more"
            )

    def stages(self) -> tuple[Stage, ...]:
        tasks = Counter(p.task for p in self.prompts)
        veneer = () if self.veneer is None else ("veneer",)
        variants = (v.name for v in self.method.prompts)
        peers = self.more_settings.get("peers") or ()
        return (
            Stage("load"),
            Stage(
                "answers",
                also=("summaries",),
                prompts=tasks,
                systems=("aligned", "base", *veneer, *variants, *peers),
                samples=self.method.samples,
                tokens=self.method.max_new_tokens,
                writes=("responses/", "in_context.jsonl"),
            ),
            Stage("compare", writes=("verdicts.jsonl",)),
        )

    def measure(self, run: Run) -> Iterator[Measurement]:
        embedder, asker = self._embedder(), self._asker(run)
        measures = self._measures([query(p) for p in self.prompts], asker, embedder)
        with run.stage("load"):
            pair = self.load().dated(run.day)
            if self.veneer is not None:
                self.veneer.check_fits(pair.base)
        seed = self.method.seed
        run.note(pair=pair.facts(), seeds={"sampling": seed, "intervals": seed})
        writer = asker
        if self.method.own_summaries:
            writer = LocalAsker(pair.aligned, self._judge_config(run))
        in_context = InContext(run, pair, self.prompts, self.method, writer)
        yield from self._rows(run, self._answers(run, in_context, embedder), measures)

    def _answers(
        self, run: Run, in_context: InContext, embedder: Embedder | None
    ) -> RecoveryAnswers:
        """Let every system answer, the teacher first: its answers are the others' examples."""
        variants = self.method.prompts
        run.identify(*(v.identity for v in variants))
        teacher = in_context.teacher()
        material = in_context.material(teacher, embedder)
        responses: dict[str, list[Response]] = {"base": in_context.base()}
        if self.veneer is not None:
            responses["veneer"] = in_context.veneer(self.veneer)
        for variant in variants:
            responses[variant.name] = in_context.variant(variant, material)
        peers = self.peers() if self.peers else ()
        for system in [*(self.more() if self.more else ()), *peers]:
            if system.name in responses or system.name == "aligned":
                raise InputError(f"two systems are called {system.name!r}; give each its own name")
            responses[system.name] = in_context.answer(system, self.prompts)
        run.note(systems=in_context.manifests, embedder=None if embedder is None else embedder.id)
        write_text(run.out / "in_context.jsonl", json_lines(in_context.prompt_rows))
        lined_up = line_up(teacher, responses)
        oracles = {v.name: v.oracle for v in variants}
        peer_names = {s.name for s in peers}
        tasks = {p.task for p in self.prompts}
        task = tasks.pop() if len(tasks) == 1 else "prompts"
        return RecoveryAnswers(
            "aligned",
            lined_up.teacher,
            [Entry(s, a, oracles.get(s), s in peer_names) for s, a in lined_up.systems.items()],
            task=task,
            more=list(example_rows(in_context.examples, oracles, task=task)),
            clusters=lined_up.clusters(self.prompts),
        )
