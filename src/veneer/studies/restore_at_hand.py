"""What a restoration has to work with, and how each way is made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from veneer.capture import Capture, capture
from veneer.capture.run import capture_from
from veneer.capture.stored import StoredTeacher
from veneer.errors import InputError
from veneer.head.veneer import Veneer
from veneer.imports.teacher import read_teacher
from veneer.models.formats import ChatFormat, Format, PlainFormat
from veneer.models.language_model import LanguageModel
from veneer.models.pair import Pair
from veneer.models.vocabulary import match_vocabularies
from veneer.prompts import Prompt
from veneer.studies.extraction import extract_to, solver_progress
from veneer.studies.restore_config import RestoreConfig
from veneer.studies.restore_ways import HeadWay, InContextWay, ShiftedWay, Way, for_head_of
from veneer.studies.stages import Progress, RunRecord
from veneer.systems.respond import respond
from veneer.systems.system import System

Load = Callable[[], LanguageModel]
OF_BASE = ("head", "shifted")  # ways that use base's veneer


@dataclass
class Models:
    """compromised reads `chat`, as the aligned model does; base reads `plain`."""

    compromised: LanguageModel
    aligned: LanguageModel | None = None
    base: LanguageModel | None = None
    veneer: Veneer | None = None
    responses: tuple[Path, ...] = ()
    chat: Format = field(default_factory=ChatFormat)
    plain: Format = field(default_factory=PlainFormat)

    def __post_init__(self) -> None:
        """Raises InputError where vocabularies differ or the compromised model has no chat template."""
        for other in (self.aligned, self.base):
            if other is not None:
                match_vocabularies(self.compromised, other)
        for lm in (self.compromised, self.aligned):
            if lm is not None and isinstance(self.chat, ChatFormat) and not lm.tokenizer.chat_template:
                raise InputError(
                    f"the tokenizer of {lm.name} has no chat template, in which its alignment stood; save its tokenizer with the aligned "
                    "model's template"
                )
        if self.veneer is not None and self.base is not None:
            self.veneer.check_fits(self.base)

    def compromised_system(self) -> System:
        return System("compromised", self.compromised, self.chat, self.compromised.stop_ids)

    def references(self) -> list[System]:
        """What every way is held against."""
        found = [self.compromised_system()]
        if self.aligned is not None:
            found.append(System("aligned", self.aligned, self.chat, self.aligned.stop_ids))
        return found

    def teacher_name(self) -> str:
        if self.aligned is not None:
            return self.aligned.name
        return str(self.veneer.facts.get("aligned")) if self.veneer is not None else "the aligned model"

    def facts(self) -> dict[str, Any]:
        named = {"compromised": self.compromised, "aligned": self.aligned, "base": self.base}
        return {
            **{k: lm.facts() for k, lm in named.items() if lm is not None},
            "veneer": None if self.veneer is None else self.veneer.identity(),
            "format": self.chat.facts(), "base_format": self.plain.facts(),
        }  # fmt: skip


@dataclass(frozen=True)
class AtHand:
    """How to get the models; None: not at hand. veneer: of (base -> aligned); without one it is extracted here. responses: files of the
    aligned model's answers to train prompts, for own-responses; without one it answers them here."""

    compromised: Load
    aligned: Load | None = None
    base: Load | None = None
    veneer: Veneer | None = None
    responses: tuple[Path, ...] = ()
    chat: Format = field(default_factory=ChatFormat)
    plain: Format = field(default_factory=PlainFormat)

    def check(self, ways: Sequence[str]) -> None:
        """Raise InputError where a way lacks something that it needs."""
        for way in ways:
            if way == "own" and self.aligned is None:
                raise InputError(
                    "the way own learns from the aligned model's distributions; give --aligned, or use own-responses"
                )
            if way == "own-responses" and self.aligned is None and not self.responses:
                raise InputError(
                    "the way own-responses learns from the aligned model's answers; give a file with --responses, or --aligned"
                )
            if way in OF_BASE and self.veneer is None and (self.base is None or self.aligned is None):
                raise InputError(
                    f"the way {way} needs the veneer of base and aligned model; give --veneer, or --base and --aligned to extract it, or "
                    f"leave {way} out of --ways"
                )
            if way == "shifted" and self.base is None:
                raise InputError("the way shifted lets base read along; give --base, or leave shifted out of --ways")

    def files(self) -> tuple[Path, ...]:
        """`responses`. Raises InputError where one is not there."""
        for path in self.responses:
            if not path.is_file():
                raise InputError(
                    f"there is no file {path}; expected answers of the aligned model, as `veneer generate` writes them"
                )
        return self.responses

    def extracts(self, ways: Sequence[str]) -> bool:
        """Whether some way needs train prompts."""
        return any(w.startswith("own") or (w in OF_BASE and self.veneer is None) for w in ways)

    def load(self, ways: Sequence[str]) -> Models:
        needs_base = any(w in OF_BASE for w in ways)
        return Models(
            self.compromised(), self.aligned() if self.aligned else None, self.base() if self.base and needs_base else None, self.veneer,
            self.responses, self.chat, self.plain,
        )  # fmt: skip


def make_way(
    name: str, models: Models, prompts: Sequence[Prompt], out: Path, config: RestoreConfig, moment: Callable[[], Tensor],
    record: RunRecord, progress: Progress | None,
) -> Way:  # fmt: skip
    """The way `name`; what must be captured and extracted for it stands in `out` and is read where it is there.

    prompts: for extraction. moment: second moment of the compromised model's hidden states, for lower ranks.
    """
    if name == "urial":
        return InContextWay(models.compromised)
    if name in OF_BASE:
        veneer = models.veneer or _extracted(
            Pair(_need(models.base), _need(models.aligned), models.plain, models.chat), prompts, out, "", config, progress
        )
        if name == "shifted":
            return ShiftedWay(models.compromised, _need(models.base), models.chat, veneer)
        fitted = for_head_of(veneer, models.compromised, models.base)
        return HeadWay(name, models.compromised, models.chat, fitted, moment)
    if name == "own-responses":
        veneer = _from_answers(models, prompts, out, config, record, progress)
        return HeadWay(name, models.compromised, models.chat, veneer, moment)
    pair = Pair(models.compromised, _need(models.aligned), models.chat, models.chat)
    return HeadWay(name, models.compromised, models.chat, _extracted(pair, prompts, out, "-own", config, progress), moment)


def _extracted(
    pair: Pair, prompts: Sequence[Prompt], out: Path, suffix: str, config: RestoreConfig, progress: Progress | None
) -> Veneer:
    taken = capture(pair, prompts, out / f"capture{suffix}", config.capture_config(), progress)
    return _solved(taken, pair.base, out / f"veneer{suffix}", config, progress)


def _from_answers(
    models: Models, prompts: Sequence[Prompt], out: Path, config: RestoreConfig, record: RunRecord, progress: Progress | None
) -> Veneer:
    """A veneer of the compromised model from the aligned model's answers alone: those of the files, or what it answers here."""
    lm, files = models.compromised, models.responses
    if not files:
        aligned = next(s for s in models.references() if s.name == "aligned")
        path = out / "answers" / "aligned.jsonl"
        respond(
            aligned, prompts, config.sampling(config.max_new_tokens, validation=False), batch_size=config.batch_size, out=path,
            progress=progress,
        )  # fmt: skip
        files = (path,)
    told = [read_teacher(path, lm, prompts) for path in files]
    record.note(responses=[{"file": str(p), "noticed": t.lines()} for p, t in zip(files, told, strict=True)])
    answers = {key: answer for t in reversed(told) for key, answer in t.teacher.answers.items()}  # the first file that has one
    ends = tuple(sorted({i for t in told for i in t.teacher.ends}))
    teacher = StoredTeacher(lm, answers, told[0].teacher.source, ends, {"files": [dict(t.teacher.said) for t in told]})
    kept = [p for p in prompts if (p.task, p.id) in answers]
    taken = capture_from(
        lm, teacher, kept, out / "capture-own-responses", config.capture_config(), base_format=models.chat, progress=progress
    )
    return _solved(taken, lm, out / "veneer-own-responses", config, progress)


def _solved(taken: Capture, lm: LanguageModel, out: Path, config: RestoreConfig, progress: Progress | None) -> Veneer:
    how = replace(config.extraction, seed=config.seed)
    return extract_to(taken, how, out, device=lm.device, log=solver_progress(progress))


def _need(lm: LanguageModel | None) -> LanguageModel:
    assert lm is not None, "AtHand.check has let a way pass that lacks a model"
    return lm
