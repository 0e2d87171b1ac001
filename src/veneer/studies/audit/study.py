"""The audit of a fine-tuned model C against its reference A: how far its surface moved, where the
change lies, whether a veneer could restore it. Every stage goes on where a former run stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from veneer.capture.artefact import Capture
from veneer.capture.config import CaptureConfig
from veneer.capture.job import encode_base
from veneer.capture.run import capture
from veneer.foundation.errors import InputError, VeneerError
from veneer.foundation.files import folder_lock, sha256_text
from veneer.foundation.progress import Progress
from veneer.foundation.results import Results
from veneer.foundation.run_record import RunRecord
from veneer.judges.refusal.rates import RefusalRates
from veneer.measures.kl import noise_rows
from veneer.models.decode import Sampling
from veneer.models.formats import ChatFormat, Format, check_arguments, dated
from veneer.models.language_model import LanguageModel
from veneer.models.layers import decoder_layers
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.report import write_report
from veneer.studies.audit.answers import Answers, answer_rows
from veneer.studies.audit.config import AUDITED, REFERENCE, RESTORED, STUDY, AuditConfig
from veneer.studies.audit.distance import (
    distance_rows,
    distances_on_audited,
    distances_on_reference,
)
from veneer.studies.audit.patch import can_patch, patch_rows
from veneer.studies.audit.restorable import folds_of, restored_answers
from veneer.studies.audit.verdict import Verdict, has_moved, verdict
from veneer.studies.audit.weights import Change, changed_layers, weight_changes, weight_rows
from veneer.systems.respond import respond
from veneer.systems.responses import Response, apart
from veneer.systems.system import System

__all__ = ["AuditConfig", "audit"]
Load = Callable[[], tuple[LanguageModel, LanguageModel]]


def audit(
    load: Load,
    sets: Mapping[str, Sequence[Prompt]],
    out: str | Path,
    config: AuditConfig | None = None,
    *,
    format: Format | None = None,
    said: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Audit a model and write the folder `out` (docs/audit.md): results.jsonl, run.json with the
    verdict, report.html.

    load: gives A and C; not called where the folder is finished. sets: "harmful" and "harmless"
    prompts. format: what both read (default: their chat templates). said: more of the
    configuration, such as the models' names. Raises InputError where `out` was made with another
    configuration, or where a model has no chat template to read.
    """
    config, out = config or AuditConfig(), Path(out)
    with folder_lock(out):
        asked = sha256_text(
            repr(
                [(p.task, p.id, p.plain, list(p.messages)) for some in sets.values() for p in some]
            )
        )
        numbers = {role: len(some) for role, some in sets.items()}
        settings = {
            **(said or {}),
            "settings": config.facts(),
            "prompts": numbers,
            "prompts_sha256": asked,
        }
        record = RunRecord(out, "audit", settings)
        if record.finished:
            return Results.read(out / "results.jsonl")
        with record.stage("load"):
            reference, audited = load()
            work = _Work(
                reference,
                audited,
                [p for some in sets.values() for p in some],
                out,
                config,
                dated(format or ChatFormat(), record.day, reference.tokenizer, audited.tokenizer),
                record,
                progress,
            )
            work.check_template()
        record.note(
            reference=reference.facts(),
            audited=audited.facts(),
            format=work.format.facts(),
            seeds={"study": config.seed},
        )
        found = work.run()
        record.note(verdict=found.facts(), judges=[work.judge.id], left_out=work.left_out)
        work.results.write(out / "results.jsonl")
        with record.stage("report"):
            write_report([out], out / "report.html")
        record.finish()
        write_report([out], out / "report.html")  # once more, with all its seconds
        return work.results


@dataclass
class _Work:
    """What all stages share."""

    reference: LanguageModel
    audited: LanguageModel
    prompts: list[Prompt]
    out: Path
    config: AuditConfig
    format: Format
    record: RunRecord
    progress: Progress | None
    results: Results = field(default_factory=Results)
    left_out: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.judge = RefusalRates()
        self.roles = [p.task for p in self.prompts]

    def check_template(self) -> None:
        for lm in (self.reference, self.audited):
            if isinstance(self.format, ChatFormat) and not lm.tokenizer.chat_template:
                raise InputError(
                    f"the tokenizer of {lm.name} has no chat template; give --plain, so that both "
                    "models read plain text"
                )
        check_arguments(self.format, self.reference.tokenizer, self.audited.tokenizer)

    def run(self) -> Verdict:
        with self.record.stage("weights"):
            changes = self.weights()
        pair = self.pair()
        answers = [self.of_reference(pair), self.of_audited()]
        if pair is not None:
            self.distances(pair, answers)
            if has_moved(self.results):
                answers += self.veneer(pair)
                self.patching(pair, changes)
        self.results.extend(
            answer_rows(
                answers, self.roles, self.judge, opening=self.config.opening, seed=self.config.seed
            )
        )
        layers = len(decoder_layers(self.reference)) if changes else 0
        return verdict(self.results, changes, layers, self.left_out)

    def weights(self) -> list[Change]:
        try:
            changes, left_out = weight_changes(
                self.reference, self.audited, self.out / "weights.jsonl"
            )
        except VeneerError as error:  # an architecture whose layers are in no list
            self.left_out.append(str(error))
            return []
        self.left_out += left_out
        self.results.extend(weight_rows(changes))
        return changes

    def pair(self) -> Pair | None:
        """The audited model in the place of the base, so that a veneer is extracted for it; None
        without a common vocabulary."""
        try:
            return Pair(self.audited, self.reference, self.format, self.format)
        except InputError as error:
            self.left_out.append(
                f"KL, heads and a veneer, since the vocabularies do not match: {error}"
            )
            return None

    def of_reference(self, pair: Pair | None) -> Answers:
        """The reference's answers; with a common vocabulary they come with a capture, which the
        distances and the veneer are made from."""
        if pair is None:
            return self.answers(
                System(REFERENCE, self.reference, self.format, self.reference.stop_ids)
            )
        with self.record.stage("capture"):
            self.capture = self.captured(pair)
        found = {r["number"]: r for r in self.capture.responses()}
        rows = [
            apart(
                Response(
                    p.id,
                    0,
                    REFERENCE,
                    p.task,
                    found[n]["text"],
                    tuple(found[n]["token_ids"]),
                    found[n]["finish_reason"],
                    self.config.seed,
                    found[n].get("reasoning"),
                )
            )
            for n, p in enumerate(self.prompts)
        ]
        # the capture's ids are the audited model's
        return self.judged(REFERENCE, rows, self.audited)

    def captured(self, pair: Pair) -> Capture:
        sampling = Sampling(max_new_tokens=self.config.max_new_tokens, seed=self.config.seed)
        how = CaptureConfig(
            k=self.config.k, batch_size=self.config.batch_size, sampling=sampling, noise_prompts=8
        )
        return capture(pair, self.prompts, self.out / "capture", how, self.progress)

    def of_audited(self) -> Answers:
        return self.answers(System(AUDITED, self.audited, self.format, self.audited.stop_ids))

    def answers(self, system: System) -> Answers:
        with self.record.stage(f"answers of {system.name}"):
            rows = respond(
                system,
                self.prompts,
                Sampling(max_new_tokens=self.config.max_new_tokens, seed=self.config.seed),
                batch_size=self.config.batch_size,
                out=self.out / "responses" / f"{system.name}.jsonl",
                progress=self.progress,
            )
        return self.judged(system.name, rows, system.lm)

    def judged(self, name: str, rows: Sequence[Response], lm: LanguageModel) -> Answers:
        return Answers.judged(
            name, self.prompts, rows, self.judge, lm.tokenizer, self.config.opening
        )

    def distances(self, pair: Pair, answers: Sequence[Answers]) -> None:
        audited_ids, reference_ids = (
            encode_base(lm, self.format, self.prompts) for lm in (self.audited, self.reference)
        )
        if pair.vocabulary.ids_to_other(audited_ids[0]) != reference_ids[0]:
            self.left_out.append(
                "the two chat templates differ, so the two models read other tokens before "
                "their answers"
            )
        with self.record.stage("distances"):
            own = distances_on_reference(
                pair, self.capture, reference_ids, self.out / "distances-reference", self.progress
            )
            other = distances_on_audited(
                pair,
                (audited_ids, reference_ids),
                answers[1].responses,
                self.config.batch_size,
                self.out / "distances-audited",
                self.progress,
            )
        for found, side in ((own, REFERENCE), (other, AUDITED)):
            self.results.extend(distance_rows(found, self.roles, side, seed=self.config.seed))
        noise = [
            replace(r, task="all", system=REFERENCE) for r in noise_rows(self.capture, study=STUDY)
        ]
        self.results.extend(noise)

    def veneer(self, pair: Pair) -> list[Answers]:
        folds = folds_of(self.roles, self.config.folds, self.config.seed)
        if not folds:
            if self.config.folds:
                self.left_out.append(
                    f"a veneer, since there are too few prompts for {self.config.folds} parts"
                )
            return []
        with self.record.stage("veneer"):
            rows, found = restored_answers(
                pair, self.capture, self.prompts, folds, self.out, self.config, self.progress
            )
        self.results.extend(found)
        return [self.judged(RESTORED, rows, self.audited)]

    def patching(self, pair: Pair, changes: Sequence[Change]) -> None:
        changed = changed_layers(changes)
        most = self.config.patched_prompts
        numbers = [
            n
            for role in dict.fromkeys(self.roles)
            for n in [i for i, r in enumerate(self.roles) if r == role][:most]
        ]
        if not changed or not numbers:
            return
        if not can_patch(self.reference, self.audited):
            self.left_out.append(
                "patching of layers, since the layers of one model do not fit the other"
            )
            return
        with self.record.stage("layers"):
            rows = patch_rows(
                pair,
                self.capture,
                self.prompts,
                numbers,
                changed,
                self.config.steps,
                self.out / "patched",
                seed=self.config.seed,
                progress=self.progress,
            )
            self.results.extend(rows)
