"""What a restoration has to work with, and how each way is made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from veneer.capture import capture
from veneer.errors import InputError
from veneer.head.veneer import Veneer
from veneer.models.formats import ChatFormat, Format, PlainFormat
from veneer.models.language_model import LanguageModel
from veneer.models.pair import Pair
from veneer.models.vocabulary import match_vocabularies
from veneer.prompts import Prompt
from veneer.studies.extraction import extract_to, solver_progress
from veneer.studies.restore_config import RestoreConfig
from veneer.studies.restore_ways import HeadWay, InContextWay, ShiftedWay, Way, for_head_of
from veneer.studies.stages import Progress, RunRecord
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
    """How to get the models; None: not at hand. veneer: of (base -> aligned); without one it is extracted here."""

    compromised: Load
    aligned: Load | None = None
    base: Load | None = None
    veneer: Veneer | None = None
    chat: Format = field(default_factory=ChatFormat)
    plain: Format = field(default_factory=PlainFormat)

    def check(self, ways: Sequence[str]) -> None:
        """Raise InputError where a way lacks something that it needs."""
        for way in ways:
            if way == "own" and self.aligned is None:
                raise InputError(
                    "the way own learns from the aligned model's distributions; give --aligned, or use own-responses"
                )
            if way in OF_BASE and self.veneer is None and (self.base is None or self.aligned is None):
                raise InputError(
                    f"the way {way} needs the veneer of base and aligned model; give --veneer, or --base and --aligned to extract it, or "
                    f"leave {way} out of --ways"
                )
            if way == "shifted" and self.base is None:
                raise InputError("the way shifted lets base read along; give --base, or leave shifted out of --ways")

    def extracts(self, ways: Sequence[str]) -> bool:
        """Whether some way needs train prompts."""
        return any(w.startswith("own") or (w in OF_BASE and self.veneer is None) for w in ways)

    def load(self, ways: Sequence[str]) -> Models:
        needs_base = any(w in OF_BASE for w in ways)
        return Models(
            self.compromised(), self.aligned() if self.aligned else None, self.base() if self.base and needs_base else None, self.veneer,
            self.chat, self.plain,
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
    pair = Pair(models.compromised, _need(models.aligned), models.chat, models.chat)
    return HeadWay(name, models.compromised, models.chat, _extracted(pair, prompts, out, "-own", config, progress), moment)


def _extracted(
    pair: Pair, prompts: Sequence[Prompt], out: Path, suffix: str, config: RestoreConfig, progress: Progress | None
) -> Veneer:
    taken = capture(pair, prompts, out / f"capture{suffix}", config.capture_config(), progress)
    how = replace(config.extraction, seed=config.seed)
    return extract_to(taken, how, out / f"veneer{suffix}", device=pair.base.device, log=solver_progress(progress))


def _need(lm: LanguageModel | None) -> LanguageModel:
    assert lm is not None, "AtHand.check has let a way pass that lacks a model"
    return lm
