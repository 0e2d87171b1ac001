"""The methods that put alignment back: what each can try, and how each is built.

head, own and own-responses change the compromised model's head; shifted changes its logits while it
decodes; urial changes its prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from veneer.capture import Capture, CaptureConfig, capture
from veneer.capture.run import capture_from
from veneer.capture.teachers.from_capture import CapturedTeacher
from veneer.capture.teachers.stored import StoredTeacher
from veneer.foundation.errors import InputError
from veneer.foundation.files import read_json
from veneer.foundation.system_id import SystemId
from veneer.head.events import solver_progress
from veneer.head.low_rank import on_other_rows, truncated
from veneer.head.veneer import Veneer
from veneer.imports.teacher import read_teacher
from veneer.measures.extraction import extract_to
from veneer.models.formats import Format
from veneer.models.language_model import LanguageModel
from veneer.models.pair import Pair
from veneer.models.sampling import Sampling
from veneer.models.vocabulary import match_vocabularies
from veneer.prompts.prompt import Prompt
from veneer.studies.restore.inputs import RestoreModels
from veneer.studies.restore.settings import BASE_METHODS, OWN_METHODS, RestoreSettings
from veneer.studies.study import Run
from veneer.systems.alpha import Alpha
from veneer.systems.in_context import in_context_format
from veneer.systems.respond import respond
from veneer.systems.shifted import ShiftedSystem
from veneer.systems.system import System


@dataclass(frozen=True)
class Candidate:
    """One setting of a method, as a system. alpha: None where there is nothing to set. rank: None
    is dense. veneer: what its head holds, if its head is changed."""

    method: str
    alpha: Alpha | None
    rank: int | None
    system: System | ShiftedSystem
    veneer: Veneer | None = None

    @property
    def identity(self) -> SystemId:
        return candidate_id(self.method, self.alpha, self.rank)

    @property
    def name(self) -> str:
        return self.identity.name

    def system_named(self, name: str) -> System | ShiftedSystem:
        """Its system under another name."""
        return replace(self.system, name=name)

    def strength(self, tokens: int) -> float:
        """The mean of |alpha| over the first `tokens` tokens of an answer; 0 without an alpha. Of
        equal losses the smaller one is chosen."""
        if self.alpha is None:
            return 0.0
        return sum(abs(self.alpha.at(t)) for t in range(1, tokens + 1)) / tokens


def candidate_id(method: str, alpha: Alpha | None, rank: int | None) -> SystemId:
    settings = {"alpha": None if alpha is None else str(alpha), "rank": rank}
    return SystemId.of(method, **{k: v for k, v in settings.items() if v is not None})


class Method(Protocol):
    """name: one of settings.METHODS. ranks: whether a lower rank makes another candidate."""

    @property
    def name(self) -> str: ...
    @property
    def ranks(self) -> bool: ...

    def candidate(self, alpha: Alpha | None, rank: int | None) -> Candidate: ...


@dataclass(frozen=True)
class HeadMethod:
    """White box: W + alpha dW over the compromised model's own backbone.

    veneer: dW, its rows in that model's token ids. moment: returns the second moment (d, d) of the
    hidden states, the metric in which dW is cut to a rank.
    """

    name: str
    lm: LanguageModel
    format: Format
    veneer: Veneer
    moment: Callable[[], Tensor]
    ranks: bool = True

    def candidate(self, alpha: Alpha | None, rank: int | None) -> Candidate:
        assert alpha is not None and alpha.constant is not None
        veneer = self.veneer if rank is None else truncated(self.veneer, self.moment(), rank)
        stops = tuple(sorted({*self.lm.stop_ids, *veneer.facts.get("stop_ids", ())}))
        with torch.inference_mode():
            head = veneer.apply(self.lm.head, alpha.constant)
        name = candidate_id(self.name, alpha, rank).name
        system = System(name, self.lm, self.format, stops, head)
        return Candidate(self.name, alpha, rank, system, veneer)


@dataclass(frozen=True)
class ShiftedMethod:
    """Black box: logits of the compromised model + alpha dW h of base, which reads the same text
    in its own format."""

    lm: LanguageModel
    base: LanguageModel
    format: Format
    veneer: Veneer
    name: str = "shifted"
    ranks: bool = False

    def candidate(self, alpha: Alpha | None, rank: int | None) -> Candidate:
        assert alpha is not None
        system = ShiftedSystem.of_models(
            self.lm,
            self.base,
            self.veneer,
            alpha=alpha,
            format=self.format,
            name=candidate_id(self.name, alpha, rank).name,
        )
        return Candidate(self.name, alpha, rank, system)


@dataclass(frozen=True)
class InContextMethod:
    """URIAL's instructions and examples before the prompt; there is nothing to set."""

    lm: LanguageModel
    name: str = "urial"
    ranks: bool = False

    def candidate(self, alpha: Alpha | None, rank: int | None) -> Candidate:
        from veneer.models.in_context import STOP

        system = System(self.name, self.lm, in_context_format("urial"), self.lm.stop_ids, stop=STOP)
        return Candidate(self.name, None, None, system)


@dataclass(frozen=True)
class MethodBuilder:
    """Builds methods from the available inputs; its captures and veneers stand in `run.out`, and
    existing ones are read.

    prompts: for extraction.
    """

    models: RestoreModels
    prompts: Sequence[Prompt]
    settings: RestoreSettings
    run: Run

    def check(self, methods: Sequence[str]) -> None:
        """Raise InputError where stored answers cannot be used, before anything is built from
        them."""
        if "head" in methods and self.models.veneer is not None:
            self._check_constant(self.models.veneer)
        if "own-responses" in methods:
            for path in self.models.responses:
                read_teacher(path, self.models.compromised, self.prompts)
        if self.models.capture is not None:
            for lm in (self.models.compromised, self.models.base):
                if lm is not None:
                    self._captured_prompts(CapturedTeacher(self.models.capture, lm))

    def _check_constant(self, veneer: Veneer) -> None:
        """Raise InputError for a constant veneer that these settings cannot use."""
        if veneer.bias is None:
            return
        if self.settings.ranks:
            raise InputError(
                "a veneer with a constant shift has no rank to cut; give --ranks '', or leave head "
                "out of --ways"
            )
        lm = self.models.compromised
        if self.settings.merge and lm.head.bias is None:
            raise InputError(
                f"the veneer shifts logits by a constant, but the head of {lm.name} has no bias "
                "that a restored checkpoint could hold it in; give --no-merge, or leave head out "
                "of --ways"
            )

    def build(self, name: str, moment: Callable[[], Tensor]) -> Method:
        """Build the method `name`. moment: returns the second moment (d, d) of the compromised
        model's hidden states."""
        models = self.models
        if name == "urial":
            return InContextMethod(models.compromised)
        if name in BASE_METHODS:
            veneer = models.veneer or self._learned(_required(models.base), models.plain, "")
            if name == "shifted":
                base = _required(models.base)
                return ShiftedMethod(models.compromised, base, models.chat, veneer)
            veneer = for_head_of(veneer, models.compromised, models.base)
        elif name == "own-responses":
            veneer = self._learned_from_responses()
        else:
            assert name in OWN_METHODS
            veneer = self._learned(models.compromised, models.chat, "-own")
        return HeadMethod(name, models.compromised, models.chat, veneer, moment)

    def _learned(self, lm: LanguageModel, form: Format, suffix: str) -> Veneer:
        """dW of a model from the aligned model's distributions. The aligned model answers once: a
        second model reads the first one's capture."""
        folder = self.run.out / f"capture{suffix}"
        other = self.run.out / ("capture" if suffix else "capture-own")
        source = self._source(lm, folder, other)
        config, progress = self._capture_config(), self.run.progress
        if source is None:
            pair = Pair(lm, _required(self.models.aligned), form, self.models.chat)
            return self._extracted(
                capture(pair, self.prompts, folder, config, progress), lm, suffix
            )
        teacher = CapturedTeacher(source, lm)
        prompts = self._captured_prompts(teacher)
        captured = capture_from(
            lm, teacher, prompts, folder, config, base_format=form, progress=progress
        )
        return self._extracted(captured, lm, suffix)

    def _captured_prompts(self, teacher: CapturedTeacher) -> list[Prompt]:
        """The prompts that a capture answers; run.json says how many it does not. Raises InputError
        where it answers none."""
        prompts, folder = teacher.answers(self.prompts), teacher.capture.folder
        if not prompts:
            raise InputError(
                f"{folder} answers none of the train prompts; give a capture of these tasks, or "
                "leave --capture out"
            )
        counts = {"prompts": len(prompts), "without": len(self.prompts) - len(prompts)}
        self.run.note(captured={"capture": str(folder), **counts})
        return prompts

    def _source(self, lm: LanguageModel, folder: Path, other: Path) -> Capture | None:
        """The capture that holds the aligned model's answers, or None: it must answer.

        folder: where this model's capture stands or will stand. other: the other model's.
        """
        if self.models.capture is not None:
            return self.models.capture
        path = folder / "manifest.json"
        begun = read_json(path, "the manifest of a capture") if path.is_file() else None
        # a capture that began with the aligned model must continue with it
        if not (other / "noise.json").is_file() or (begun is not None and "teacher" not in begun):
            return None
        captured = Capture.open(other)
        same = captured.tokenizer.get_vocab() == lm.tokenizer.get_vocab()
        return captured if same else None

    def _learned_from_responses(self) -> Veneer:
        """dW of the compromised model from the aligned model's answers alone: those of the files,
        or else what it answers here."""
        lm, files = self.models.compromised, self.models.responses or (self._responses(),)
        read = [read_teacher(path, lm, self.prompts) for path in files]
        self.run.note(
            responses=[
                {"file": str(p), "noticed": t.lines()} for p, t in zip(files, read, strict=True)
            ]
        )
        # the first file that answers a prompt counts, so it is merged last
        answers = {key: answer for t in reversed(read) for key, answer in t.teacher.answers.items()}
        ends = tuple(sorted({i for t in read for i in t.teacher.ends}))
        files_facts = {"files": [dict(t.teacher.teacher_facts) for t in read]}
        teacher = StoredTeacher(lm, answers, read[0].teacher.source, ends, files_facts)
        captured = capture_from(
            lm,
            teacher,
            [p for p in self.prompts if (p.task, p.id) in answers],
            self.run.out / "capture-own-responses",
            self._capture_config(),
            base_format=self.models.chat,
            progress=self.run.progress,
        )
        return self._extracted(captured, lm, "-own-responses")

    def _responses(self) -> Path:
        """The file of the aligned model's answers to the train prompts, which it gives here."""
        aligned = next(s for s in self.models.references() if s.name == "aligned")
        path = self.run.out / "answers" / "aligned.jsonl"
        respond(
            aligned,
            self.prompts,
            Sampling(self.settings.max_new_tokens, seed=self.settings.seed),
            batch_size=self.settings.batch_size,
            out=path,
            progress=self.run.progress,
        )
        return path

    def _extracted(self, captured: Capture, lm: LanguageModel, suffix: str) -> Veneer:
        return extract_to(
            captured,
            replace(self.settings.extraction, seed=self.settings.seed),
            self.run.out / f"veneer{suffix}",
            device=lm.device,
            log=solver_progress(self.run.progress),
        )

    def _capture_config(self) -> CaptureConfig:
        sampling = Sampling(self.settings.max_new_tokens, seed=self.settings.seed)
        return CaptureConfig(
            self.settings.k, batch_size=self.settings.batch_size, sampling=sampling
        )


def for_head_of(veneer: Veneer, lm: LanguageModel, base: LanguageModel | None) -> Veneer:
    """A base's veneer for the head of another model of the same width, its rows matched by token
    string.

    Raises InputError where the widths differ, and where base is not given and its tokenizer is
    another one.
    """
    if veneer.width != lm.head.width:
        raise InputError(
            f"the veneer is of width {veneer.width} and the head of {lm.name} of {lm.head.width}, "
            "so it cannot be added; use the method shifted or own"
        )
    to_other = None
    if base is not None:
        veneer.check_fits(base)
        to_other = match_vocabularies(base, lm).to_other
    elif veneer.facts.get("tokenizer") != lm.tokenizer_hash() or veneer.vocabulary > lm.head.rows:
        raise InputError(
            f"the veneer was extracted with another tokenizer than that of {lm.name}; give its "
            "--base, to match them"
        )
    moved = on_other_rows(veneer, to_other, lm.head.hash(), lm.head.rows)
    if to_other is not None:
        ends = [int(to_other[i]) for i in veneer.facts.get("stop_ids", ()) if i < len(to_other)]
        moved.facts["stop_ids"] = ends
    return moved


def _required(lm: LanguageModel | None) -> LanguageModel:
    assert lm is not None, "RestoreInputs.check has let a method pass that lacks a model"
    return lm
