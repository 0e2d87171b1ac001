"""The audit of a fine-tuned model C against its reference A: how far its surface moved, where the
change lies, whether a veneer could restore it (docs/audit.md). A killed run resumes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from veneer.capture.artefact import Capture
from veneer.capture.config import CaptureConfig
from veneer.capture.job import encode_base
from veneer.capture.run import capture
from veneer.foundation.errors import InputError, VeneerError
from veneer.foundation.files import json_lines, sha256_text, write_text
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement, Results
from veneer.foundation.stages import Stage
from veneer.judges.refusal.rates import RefusalRates
from veneer.measures.clusters import prompt_clusters
from veneer.measures.kl import noise_rows
from veneer.models.formats import ChatFormat, Format, check_arguments, dated
from veneer.models.language_model import LanguageModel
from veneer.models.layers import decoder_layers
from veneer.models.pair import Pair
from veneer.models.sampling import Sampling
from veneer.prompts.prompt import Prompt
from veneer.studies.audit.answers import Answers, answer_rows
from veneer.studies.audit.distance import (
    distance_rows,
    distances_on_audited,
    distances_on_reference,
)
from veneer.studies.audit.names import AUDITED, HARMFUL, HARMLESS, REFERENCE, RESTORED, STUDY
from veneer.studies.audit.patch import can_patch, patch_rows, patches
from veneer.studies.audit.restorable import folds_of, restored_answers, veneer_folders
from veneer.studies.audit.settings import AuditSettings
from veneer.studies.audit.side_by_side import rows_of_texts, rows_of_tokens, shown_prompts
from veneer.studies.audit.stages import audit_stages
from veneer.studies.audit.taught.settings import TaughtSettings
from veneer.studies.audit.taught.study import Taught, head_rows
from veneer.studies.audit.taught.texts import reference_texts
from veneer.studies.audit.verdict import conclude, has_moved
from veneer.studies.audit.weights import Change, changed_layers, weight_changes, weight_rows
from veneer.studies.runner import run_study
from veneer.studies.study import Run
from veneer.systems.respond import respond
from veneer.systems.responses import Response, apart
from veneer.systems.system import System
from veneer.tasks.apart import check_apart

Load = Callable[[], tuple[LanguageModel, LanguageModel]]


def audit(
    load: Load,
    sets: Mapping[str, Sequence[Prompt]],
    out: str | Path,
    method: AuditSettings | None = None,
    *,
    taught: TaughtSettings | None = None,
    texts: Sequence[str] | None = None,
    format: Format | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: Progress | bool | None = None,
) -> Results:
    """Audit a model and write the study folder `out`, with the verdict in run.json.

    load: gives A and C; not called where the folder is finished. sets: "harmful" and "harmless"
    prompts. taught: how to ask what was taught. texts: reference text for that (default: the
    neutral sample that ships). format: what both models read (default: their chat templates).
    settings: more of the settings for run.json, such as the models' names, which a second run must
    share. Raises InputError where `out` was made with other settings, or where a model has no chat
    template.
    """
    study = AuditStudy(
        load,
        sets,
        method or AuditSettings(),
        format or ChatFormat(),
        settings,
        taught or TaughtSettings(),
        reference_texts() if texts is None else texts,
    )
    return run_study(study, out, progress=progress)


@dataclass(frozen=True)
class AuditModels:
    """A and C, and the format that both read."""

    reference: LanguageModel
    audited: LanguageModel
    format: Format

    def check_template(self) -> None:
        """Raises InputError where one of the models cannot read the format."""
        for lm in (self.reference, self.audited):
            if isinstance(self.format, ChatFormat) and not lm.tokenizer.chat_template:
                raise InputError(
                    f"the tokenizer of {lm.name} has no chat template; give --plain, so that both "
                    "models read plain text"
                )
        check_arguments(self.format, self.reference.tokenizer, self.audited.tokenizer)

    def pair(self) -> Pair:
        """The audited model in the place of base, so that a veneer is extracted for it. Raises
        InputError where the two share no vocabulary."""
        return Pair(self.audited, self.reference, self.format, self.format)


class AuditStudy:
    """How far a model has moved from its reference. See `audit` for the arguments."""

    name = STUDY

    def __init__(
        self,
        load: Load,
        sets: Mapping[str, Sequence[Prompt]],
        method: AuditSettings,
        format: Format,
        settings: Mapping[str, Any] | None = None,
        taught: TaughtSettings | None = None,
        texts: Sequence[str] = (),
    ):
        self.load = load
        self.taught = taught or TaughtSettings(texts=0, samples=0)
        self.texts = texts
        # rows of a set are found by its name
        self.sets = {role: [replace(p, task=role) for p in own] for role, own in sets.items()}
        self.method = method
        self.format = format
        self.more_settings = dict(settings or {})
        self.prompts = [p for prompts in self.sets.values() for p in prompts]
        self.roles = [p.task for p in self.prompts]
        self.clusters = prompt_clusters(self.prompts)
        self.judge = RefusalRates()
        self.left_out: list[dict[str, Any]] = []
        self.folds: list[list[int]] = []  # the prompts that each veneer leaves out

    def settings(self) -> dict[str, Any]:
        texts = [(p.task, p.id, p.plain, list(p.messages)) for p in self.prompts]
        return {
            **self.more_settings,
            "settings": self.method.facts(),
            "taught": self.taught.facts(),
            "texts_sha256": sha256_text(repr(list(self.texts))),
            "prompts": {role: len(prompts) for role, prompts in self.sets.items()},
            "prompts_sha256": sha256_text(repr(texts)),
        }

    def check(self) -> None:
        """The templates are checked once models are loaded."""
        if {HARMFUL, HARMLESS} <= self.sets.keys():
            check_apart(self.sets[HARMFUL], self.sets[HARMLESS], (HARMFUL, HARMLESS))

    def stages(self) -> tuple[Stage, ...]:
        return audit_stages(self.sets, self.method, self.taught)

    def measure(self, run: Run) -> Iterator[Measurement]:
        with run.stage("load"):
            models = self._load(run.day)
        run.note(
            reference=models.reference.facts(),
            audited=models.audited.facts(),
            format=models.format.facts(),
            seeds={"study": self.method.seed},
        )
        with run.stage("weights"):
            changes = self._weights(models, run.out)
        yield from weight_rows(changes)
        answers: list[Answers] = []
        pair = None
        try:
            pair = models.pair()
        except InputError as error:
            self._leave_out("vocabularies", detail=str(error))
            answers += [self._answers(REFERENCE, models, run), self._answers(AUDITED, models, run)]
        else:
            yield from self._compare(pair, models, changes, answers, run)
        yield from answer_rows(
            answers,
            self.roles,
            self.judge,
            opening=self.method.opening,
            seed=self.method.seed,
            clusters=self.clusters,
        )
        self._side_by_side(answers, pair, run)
        layers = len(decoder_layers(models.reference)) if changes else 0
        verdict = conclude(run.results, layers, self.left_out)
        run.note(verdict=verdict.facts(), judges=[self.judge.id])

    def _compare(
        self,
        pair: Pair,
        models: AuditModels,
        changes: Sequence[Change],
        answers: list[Answers],
        run: Run,
    ) -> Iterator[Measurement]:
        """The rows that need a common vocabulary. The systems' answers are added to `answers`."""
        with run.stage("capture"):
            recorded = self._capture(pair, run)
        answers.append(self._recorded_answers(recorded, models))
        answers.append(self._answers(AUDITED, models, run))
        yield from self._distance_rows(pair, models, recorded, answers[1].responses, run)
        if not has_moved(run.results):
            return
        method = self.method
        yield from Taught(
            pair, self.texts, models.format, self.taught, method.batch_size, method.seed
        ).rows(run)
        self.folds = self._folds()
        if self.folds:
            with run.stage("veneer"):
                responses, rows = restored_answers(
                    pair, recorded, self.prompts, self.folds, run.out, self.method, run.progress
                )
            yield from rows
            answers.append(self._judged(RESTORED, responses, models.audited))
            if self.taught.texts:
                with run.stage("change of the head"):
                    folders = veneer_folders(run.out, len(self.folds))
                    direction_rows = list(head_rows(recorded, folders, pair))
                yield from direction_rows
        yield from self._patch_rows(pair, models, recorded, changes, run)

    def _side_by_side(self, answers: Sequence[Answers], pair: Pair | None, run: Run) -> None:
        """Write tokens.jsonl: the answers to some prompts, and each model's view of every token."""
        chosen, numbers = shown_prompts(answers, self.prompts)
        with run.stage("tokens"):
            rows = (
                rows_of_texts(answers, self.prompts, numbers)
                if pair is None
                else rows_of_tokens(answers, self.prompts, numbers, pair, self.folds, run.out)
            )
            write_text(run.out / "tokens.jsonl", json_lines(rows))
        run.note(shown_prompts=chosen.facts())

    def _load(self, day: str) -> AuditModels:
        reference, audited = self.load()
        chosen = dated(self.format, day, reference.tokenizer, audited.tokenizer)
        models = AuditModels(reference, audited, chosen)
        models.check_template()
        return models

    def _leave_out(self, reason: str, **facts: Any) -> None:
        """Note what could not be compared; `words.omission` says it in English."""
        self.left_out.append({"reason": reason, **facts})

    def _weights(self, models: AuditModels, out: Path) -> list[Change]:
        try:
            changes, left_out = weight_changes(
                models.reference, models.audited, out / "weights.jsonl"
            )
        except VeneerError as error:  # an architecture whose layers are in no list
            self._leave_out("layers_unknown", detail=str(error))
            return []
        self.left_out += left_out
        return changes

    def _sampling(self) -> Sampling:
        return Sampling(max_new_tokens=self.method.max_new_tokens, seed=self.method.seed)

    def _capture(self, pair: Pair, run: Run) -> Capture:
        """The reference's answers with its distributions and the audited model's states."""
        method = self.method
        config = CaptureConfig(
            k=method.k, batch_size=method.batch_size, sampling=self._sampling(), noise_prompts=8
        )
        return capture(pair, self.prompts, run.out / "capture", config, run.progress)

    def _recorded_answers(self, recorded: Capture, models: AuditModels) -> Answers:
        """The reference's answers, from the capture."""
        by_number = {r["number"]: r for r in recorded.responses()}
        responses = [
            apart(
                Response(
                    p.id,
                    0,
                    REFERENCE,
                    p.task,
                    by_number[n]["text"],
                    tuple(by_number[n]["token_ids"]),
                    by_number[n]["finish_reason"],
                    self.method.seed,
                    by_number[n].get("reasoning"),
                )
            )
            for n, p in enumerate(self.prompts)
        ]
        # the capture's ids are the audited model's
        return self._judged(REFERENCE, responses, models.audited)

    def _answers(self, name: str, models: AuditModels, run: Run) -> Answers:
        """The answers of the reference or of the audited model, generated."""
        lm = models.reference if name == REFERENCE else models.audited
        with run.stage(f"answers of {name}"):
            responses = respond(
                System(name, lm, models.format, lm.stop_ids),
                self.prompts,
                self._sampling(),
                batch_size=self.method.batch_size,
                out=run.out / "responses" / f"{name}.jsonl",
                progress=run.progress,
            )
        return self._judged(name, responses, lm)

    def _judged(self, name: str, responses: Sequence[Response], lm: LanguageModel) -> Answers:
        return Answers.judged(
            name, self.prompts, responses, self.judge, lm.tokenizer, self.method.opening
        )

    def _distance_rows(
        self,
        pair: Pair,
        models: AuditModels,
        recorded: Capture,
        responses: Sequence[Response],
        run: Run,
    ) -> Iterator[Measurement]:
        """KL on the answers of both, and the noise floor. responses: the audited model's."""
        audited_ids, reference_ids = (
            encode_base(lm, models.format, self.prompts)
            for lm in (models.audited, models.reference)
        )
        if pair.vocabulary.ids_to_other(audited_ids[0]) != reference_ids[0]:
            self._leave_out("templates")
        with run.stage("distances"):
            on_reference = distances_on_reference(
                pair, recorded, reference_ids, run.out / "distances-reference", run.progress
            )
            on_audited = distances_on_audited(
                pair,
                (audited_ids, reference_ids),
                responses,
                self.method.batch_size,
                run.out / "distances-audited",
                run.progress,
            )
        for distances, side in ((on_reference, REFERENCE), (on_audited, AUDITED)):
            yield from distance_rows(
                distances, self.roles, side, seed=self.method.seed, clusters=self.clusters
            )
        for row in noise_rows(recorded, study=STUDY):
            yield replace(row, task="all", system=REFERENCE)

    def _folds(self) -> list[list[int]]:
        """The prompts that each veneer leaves out; none where no veneer is extracted."""
        clusters = None if self.clusters is None else self.clusters.tolist()
        folds = folds_of(self.roles, self.method.folds, self.method.seed, clusters)
        if not folds and self.method.folds:
            self._leave_out("few_prompts", folds=self.method.folds)
        return folds

    def _patch_rows(
        self,
        pair: Pair,
        models: AuditModels,
        recorded: Capture,
        changes: Sequence[Change],
        run: Run,
    ) -> Iterator[Measurement]:
        changed = changed_layers(changes)
        numbers = [
            n
            for role in dict.fromkeys(self.roles)
            for n in [i for i, r in enumerate(self.roles) if r == role][
                : self.method.patched_prompts
            ]
        ]
        if not changed or not numbers:
            return
        if not can_patch(models.reference, models.audited):
            self._leave_out("layers_differ")
            return
        run.identify(*(p.system for p in patches(changed, self.method.steps)))
        with run.stage("layers"):
            rows = list(
                patch_rows(
                    pair,
                    recorded,
                    self.prompts,
                    numbers,
                    changed,
                    self.method.steps,
                    run.out / "patched",
                    seed=self.method.seed,
                    progress=run.progress,
                )
            )
        yield from rows
