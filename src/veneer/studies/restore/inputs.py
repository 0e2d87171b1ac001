"""What a restoration has to work with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from veneer.capture import Capture
from veneer.foundation.errors import InputError
from veneer.head.veneer import Veneer
from veneer.models.formats import ChatFormat, Format, PlainFormat, check_arguments, dated
from veneer.models.language_model import LanguageModel
from veneer.models.vocabulary import match_vocabularies
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
    capture: Capture | None = None
    responses: tuple[Path, ...] = ()
    chat: Format = field(default_factory=ChatFormat)
    plain: Format = field(default_factory=PlainFormat)

    def __post_init__(self) -> None:
        """Raises InputError where vocabularies differ or the compromised model has
        no chat template."""
        for other in (self.aligned, self.base):
            if other is not None:
                match_vocabularies(self.compromised, other)
        for lm in (self.compromised, self.aligned):
            if (
                lm is not None
                and isinstance(self.chat, ChatFormat)
                and not lm.tokenizer.chat_template
            ):
                raise InputError(
                    f"the tokenizer of {lm.name} has no chat template, in which its alignment "
                    "stood; save its tokenizer with the aligned model's template"
                )
        check_arguments(
            self.chat, *(lm.tokenizer for lm in (self.compromised, self.aligned) if lm is not None)
        )
        if self.veneer is not None and self.base is not None:
            self.veneer.check_fits(self.base)

    def dated(self, day: str) -> Models:
        """With this date where a chat template writes the date and none was chosen
        (see formats.dated)."""
        chat = dated(
            self.chat,
            day,
            *(lm.tokenizer for lm in (self.compromised, self.aligned) if lm is not None),
        )
        return self if chat == self.chat else replace(self, chat=chat)

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
        return (
            str(self.veneer.facts.get("aligned"))
            if self.veneer is not None
            else "the aligned model"
        )

    def facts(self) -> dict[str, Any]:
        named = {"compromised": self.compromised, "aligned": self.aligned, "base": self.base}
        return {
            **{k: lm.facts() for k, lm in named.items() if lm is not None},
            "veneer": None if self.veneer is None else self.veneer.identity(),
            "format": self.chat.facts(),
            "base_format": self.plain.facts(),
        }


@dataclass(frozen=True)
class AtHand:
    """How to get the models; None: not at hand. veneer: of (base -> aligned); without one it is
    extracted here. capture: of the aligned model's answers to train prompts, from which own and a
    veneer of base are made without asking it again. responses: files of its answers, for
    own-responses; without one it answers them here. data: the tasks' data folder."""

    compromised: Load
    aligned: Load | None = None
    base: Load | None = None
    veneer: Veneer | None = None
    capture: Capture | None = None
    responses: tuple[Path, ...] = ()
    chat: Format = field(default_factory=ChatFormat)
    plain: Format = field(default_factory=PlainFormat)
    data: Path | None = None

    def check(self, ways: Sequence[str]) -> None:
        """Raise InputError where a way lacks something that it needs."""
        for way in ways:
            if way == "own" and self.aligned is None and self.capture is None:
                raise InputError(
                    "the way own learns from the aligned model's distributions; give --aligned, "
                    "or a --capture of it, or use own-responses"
                )
            if way == "own-responses" and self.aligned is None and not self.responses:
                raise InputError(
                    "the way own-responses learns from the aligned model's answers; give a file "
                    "with --responses, or --aligned"
                )
            answers = self.aligned is not None or self.capture is not None
            if way in OF_BASE and self.veneer is None and not (self.base is not None and answers):
                raise InputError(
                    f"the way {way} needs the veneer of base and aligned model; give --veneer, or "
                    f"--base and --aligned to extract it, or leave {way} out of --ways"
                )
            if way == "shifted" and self.base is None:
                raise InputError(
                    "the way shifted lets base read along; give --base, or leave shifted out "
                    "of --ways"
                )

    def files(self) -> tuple[Path, ...]:
        """`responses`. Raises InputError where one is not there."""
        for path in self.responses:
            if not path.is_file():
                raise InputError(
                    f"there is no file {path}; expected answers of the aligned model, as `veneer "
                    "generate` writes them"
                )
        return self.responses

    def extracts(self, ways: Sequence[str]) -> bool:
        """Whether some way needs train prompts."""
        return any(w.startswith("own") or (w in OF_BASE and self.veneer is None) for w in ways)

    def load(self, ways: Sequence[str]) -> Models:
        needs_base = any(w in OF_BASE for w in ways)
        return Models(
            self.compromised(),
            self.aligned() if self.aligned else None,
            self.base() if self.base and needs_base else None,
            self.veneer,
            self.capture,
            self.responses,
            self.chat,
            self.plain,
        )
