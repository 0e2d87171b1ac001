"""What a transfer study is asked to do, and the systems that it may measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from veneer.foundation.errors import InputError
from veneer.measures.config import StudyConfig
from veneer.systems.alpha import Alpha

# the last two fade: the veneer lives in the first tokens of an answer
DEFAULT_ALPHAS = "0.5,1,1.5,1@10,1.5>0.5@10"
SHIFTED = "shifted-"
REFERENCES = ("small-base", "small-veneer", "small-aligned")


@dataclass(frozen=True, slots=True)
class TransferConfig:
    """alphas: how much of the shift is added, one shifted system each. bake: also distil the shift
    into the large model's head. own: also extract the large model's own veneer. systems: of
    `names`, those to measure on the tasks (None: all that there are). rounds: of the timing, each
    one batch a system (0: no timing). study: how captures, extractions and answers are made."""

    alphas: tuple[Alpha, ...] = tuple(Alpha.parse(a) for a in DEFAULT_ALPHAS.split(","))
    bake: bool = False
    own: bool = False
    systems: tuple[str, ...] | None = None
    rounds: int = 5
    study: StudyConfig = field(default_factory=StudyConfig)

    def __post_init__(self) -> None:
        if not self.alphas:
            raise InputError(
                "there is no alpha; give at least one with --alphas, such as 1 or 1.5>0.5@10"
            )
        names = [str(a) for a in self.alphas]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise InputError(f"--alphas names {twice[0]} twice; name each once")
        if self.rounds < 0 or self.rounds == 1:
            raise InputError(
                f"--timing is {self.rounds}; expected 2 or more rounds, so that there is an "
                "interval, or 0 for no timing"
            )

    def names(self, *, aligned: bool, small_aligned: bool) -> list[str]:
        """Every system that can be measured, in the order of the tables. aligned, small_aligned:
        whether those models are at hand."""
        found = ["base", *(f"{SHIFTED}{a}" for a in self.alphas)]
        found += ["baked"] * self.bake + ["veneer"] * self.own + ["aligned"] * aligned
        return [*found, *(r for r in REFERENCES if r != "small-aligned" or small_aligned)]

    def chosen(self, known: Sequence[str]) -> list[str]:
        """The systems to measure on the tasks, in the order of `known`. "shifted" stands for all of
        that kind. Raises InputError for a name that is not there."""
        if self.systems is None:
            return list(known)
        unknown = [s for s in self.systems if s not in known and s != "shifted"]
        if unknown or not self.systems:
            raise InputError(
                f"there is no system {unknown[0] if unknown else ''!r} to measure; expected some "
                f"of {', '.join(known)}, or shifted for all of those"
            )
        return [
            s
            for s in known
            if s in self.systems or ("shifted" in self.systems and s.startswith(SHIFTED))
        ]

    def facts(self) -> dict[str, Any]:
        return {
            "alphas": [str(a) for a in self.alphas],
            "bake": self.bake,
            "own": self.own,
            "rounds": self.rounds,
            "systems": None if self.systems is None else list(self.systems),
            **self.study.facts(),
        }
