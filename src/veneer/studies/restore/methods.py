"""The ways to put alignment back: what each can try, and how it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from veneer.foundation.errors import InputError
from veneer.head.low_rank import on_other_rows, truncated
from veneer.head.veneer import Veneer
from veneer.models.formats import Format
from veneer.models.language_model import LanguageModel
from veneer.models.vocabulary import match_vocabularies
from veneer.systems.alpha import Alpha
from veneer.systems.in_context import in_context_format
from veneer.systems.shifted import ShiftedSystem
from veneer.systems.system import System


@dataclass(frozen=True)
class Candidate:
    """One setting of a way, as a system. alpha: None where there is nothing to set. veneer: what
    its head holds, where it has one."""

    way: str
    alpha: Alpha | None
    rank: int | None
    system: System | ShiftedSystem
    veneer: Veneer | None = None

    @property
    def name(self) -> str:
        return candidate_name(self.way, self.alpha, self.rank)

    def named(self, name: str) -> System | ShiftedSystem:
        """Its system under another name."""
        return replace(self.system, name=name)

    def size(self, longest: int) -> float:
        """alpha, or its mean over the first `longest` tokens of an answer: what "the
        smaller change" means."""
        if self.alpha is None:
            return 0.0
        return sum(abs(self.alpha.at(t)) for t in range(1, longest + 1)) / longest


def candidate_name(way: str, alpha: Alpha | None, rank: int | None) -> str:
    return way + ("" if alpha is None else f"-{alpha}") + ("" if rank is None else f"-rank-{rank}")


class Way(Protocol):
    """name: of config.WAYS. ranks: whether a lower rank makes another candidate."""

    @property
    def name(self) -> str: ...
    @property
    def ranks(self) -> bool: ...

    def candidate(self, alpha: Alpha | None, rank: int | None) -> Candidate: ...


@dataclass(frozen=True)
class HeadWay:
    """White box: W + alpha dW over the compromised model's own backbone.

    veneer: dW, its rows in that model's ids. moment: gives the second moment (d, d) of the hidden
    states in which a rank is cut."""

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
        system = System(candidate_name(self.name, alpha, rank), self.lm, self.format, stops, head)
        return Candidate(self.name, alpha, rank, system, veneer)


@dataclass(frozen=True)
class ShiftedWay:
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
            name=candidate_name(self.name, alpha, rank),
        )
        return Candidate(self.name, alpha, rank, system)


@dataclass(frozen=True)
class InContextWay:
    """URIAL's instructions and examples before the prompt: there is nothing to set."""

    lm: LanguageModel
    name: str = "urial"
    ranks: bool = False

    def candidate(self, alpha: Alpha | None, rank: int | None) -> Candidate:
        from veneer.models.in_context import STOP

        system = System(self.name, self.lm, in_context_format("urial"), self.lm.stop_ids, stop=STOP)
        return Candidate(self.name, None, None, system)


def for_head_of(veneer: Veneer, lm: LanguageModel, base: LanguageModel | None) -> Veneer:
    """A base's veneer for the head of another model of the same width, rows matched
    by token string.

    Raises InputError where the widths differ, and where base is not at hand and its tokenizer is
    not the other's."""
    if veneer.width != lm.head.width:
        raise InputError(
            f"the veneer is of width {veneer.width} and the head of {lm.name} of {lm.head.width}, "
            "so that it cannot be added; use the way shifted or own"
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
    found = on_other_rows(veneer, to_other, lm.head.hash(), lm.head.rows)
    if to_other is not None:
        ends = [int(to_other[i]) for i in veneer.facts.get("stop_ids", ()) if i < len(to_other)]
        found.facts["stop_ids"] = ends
    return found
