"""How each way is made of what is at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from veneer.capture import Capture, capture
from veneer.capture.run import capture_from
from veneer.capture.teachers.from_capture import CapturedTeacher
from veneer.capture.teachers.stored import StoredTeacher
from veneer.foundation.errors import InputError
from veneer.foundation.files import read_json
from veneer.foundation.progress import Progress
from veneer.foundation.run_record import RunRecord
from veneer.head.veneer import Veneer
from veneer.imports.teacher import read_teacher
from veneer.measures.extraction import extract_to, solver_progress
from veneer.models.formats import Format
from veneer.models.language_model import LanguageModel
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.studies.restore.config import RestoreConfig
from veneer.studies.restore.inputs import OF_BASE, Models
from veneer.studies.restore.methods import HeadWay, InContextWay, ShiftedWay, Way, for_head_of
from veneer.systems.respond import respond


@dataclass(frozen=True)
class Maker:
    """prompts: for extraction. out: what is captured and extracted stands there, and is read
    where it is there."""

    models: Models
    prompts: Sequence[Prompt]
    out: Path
    config: RestoreConfig
    record: RunRecord
    progress: Progress | None = None

    def check(self, ways: Sequence[str]) -> None:
        """Raise InputError where stored answers are of no use, before anything is made of them."""
        if "own-responses" in ways:
            for path in self.models.responses:
                read_teacher(path, self.models.compromised, self.prompts)
        if self.models.capture is not None:
            for lm in (self.models.compromised, self.models.base):
                if lm is not None:
                    self._answered(CapturedTeacher(self.models.capture, lm))

    def make(self, name: str, moment: Callable[[], Tensor]) -> Way:
        """The way `name` of WAYS. moment: gives the second moment of the compromised model's hidden
        states, in which a rank is cut."""
        models = self.models
        if name == "urial":
            return InContextWay(models.compromised)
        if name in OF_BASE:
            veneer = models.veneer or self._learned(_need(models.base), models.plain, "")
            if name == "shifted":
                return ShiftedWay(models.compromised, _need(models.base), models.chat, veneer)
            veneer = for_head_of(veneer, models.compromised, models.base)
        elif name == "own-responses":
            veneer = self._from_answers()
        else:
            veneer = self._learned(models.compromised, models.chat, "-own")
        return HeadWay(name, models.compromised, models.chat, veneer, moment)

    def _learned(self, lm: LanguageModel, form: Format, suffix: str) -> Veneer:
        """dW of a model from the aligned model's distributions. They are asked for once: a second
        model reads the first one's capture."""
        folder, how = self.out / f"capture{suffix}", self.config.capture_config()
        source = self._source(lm, folder, self.out / ("capture" if suffix else "capture-own"))
        if source is None:
            pair = Pair(lm, _need(self.models.aligned), form, self.models.chat)
            return self._solved(capture(pair, self.prompts, folder, how, self.progress), lm, suffix)
        teacher = CapturedTeacher(source, lm)
        kept = self._answered(teacher)
        return self._solved(
            capture_from(lm, teacher, kept, folder, how, base_format=form, progress=self.progress),
            lm,
            suffix,
        )

    def _answered(self, teacher: CapturedTeacher) -> list[Prompt]:
        """The prompts that a capture has; run.json says how many it has not."""
        kept, folder = teacher.answers(self.prompts), teacher.capture.folder
        if not kept:
            raise InputError(
                f"{folder} answers none of the train prompts; give a capture of these tasks, or "
                "leave --capture out"
            )
        self.record.found["captured"] = {
            "capture": str(folder),
            "prompts": len(kept),
            "without": len(self.prompts) - len(kept),
        }
        return kept

    def _source(self, lm: LanguageModel, folder: Path, other: Path) -> Capture | None:
        """The capture to read the aligned model's answers from; None: ask it."""
        if self.models.capture is not None:
            return self.models.capture
        begun = (
            read_json(folder / "manifest.json", "the manifest of a capture")
            if (folder / "manifest.json").is_file()
            else None
        )
        if not (other / "noise.json").is_file() or (begun is not None and "teacher" not in begun):
            # the other one is not there, was itself read off, or this one began by asking
            return None
        found = Capture.open(other)
        return found if found.tokenizer.get_vocab() == lm.tokenizer.get_vocab() else None

    def _from_answers(self) -> Veneer:
        """dW of the compromised model from the aligned model's answers alone: those of the files,
        or what it answers here."""
        lm, files, config = self.models.compromised, self.models.responses, self.config
        if not files:
            aligned = next(s for s in self.models.references() if s.name == "aligned")
            path = self.out / "answers" / "aligned.jsonl"
            sampling = config.sampling(config.max_new_tokens, validation=False)
            respond(
                aligned,
                self.prompts,
                sampling,
                batch_size=config.batch_size,
                out=path,
                progress=self.progress,
            )
            files = (path,)
        told = [read_teacher(path, lm, self.prompts) for path in files]
        self.record.note(
            responses=[
                {"file": str(p), "noticed": t.lines()} for p, t in zip(files, told, strict=True)
            ]
        )
        answers = {
            key: answer for t in reversed(told) for key, answer in t.teacher.answers.items()
        }  # the first file that has one
        ends = tuple(sorted({i for t in told for i in t.teacher.ends}))
        teacher = StoredTeacher(
            lm,
            answers,
            told[0].teacher.source,
            ends,
            {"files": [dict(t.teacher.teacher_facts) for t in told]},
        )
        kept = [p for p in self.prompts if (p.task, p.id) in answers]
        taken = capture_from(
            lm,
            teacher,
            kept,
            self.out / "capture-own-responses",
            config.capture_config(),
            base_format=self.models.chat,
            progress=self.progress,
        )
        return self._solved(taken, lm, "-own-responses")

    def _solved(self, taken: Capture, lm: LanguageModel, suffix: str) -> Veneer:
        how = replace(self.config.extraction, seed=self.config.seed)
        return extract_to(
            taken,
            how,
            self.out / f"veneer{suffix}",
            device=lm.device,
            log=solver_progress(self.progress),
        )


def _need(lm: LanguageModel | None) -> LanguageModel:
    assert lm is not None, "AtHand.check has let a way pass that lacks a model"
    return lm
