"""The settings of a transfer, and the systems that it may measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from veneer.foundation.errors import InputError
from veneer.foundation.settings import Option
from veneer.measures.config import StudyConfig
from veneer.studies.transfer.names import REFERENCES, SHIFTED, shifted_system
from veneer.systems.alpha import Alpha, alphas_of_setting

# the last two fade: the veneer lives in the first tokens of an answer
DEFAULT_ALPHAS = ("0.5", "1", "1.5", "1@10", "1.5>0.5@10")


@dataclass(frozen=True)
class TransferSettings:
    """Which shifts are tried, and which systems are compared with them."""

    alphas: Annotated[tuple[str, ...], Option(commas=True, metavar="ALPHA,...")] = DEFAULT_ALPHAS
    """How much of the shift is added; each is a system. A number, or a schedule over the answer's
    positions: 1@10 (1 for the first 10, then 0), 1.5>0.5@10 (a line from 1.5 to 0.5 at the tenth,
    constant after), 1.5~8 (half of it every 8 tokens). Quote > in a shell."""
    bake: bool = False
    """Distil the shift into the large model's own head, and measure that too. The alpha is the one
    nearest to the large aligned model on the select part of the train prompts; without that model,
    the one with the best headlines on that part."""
    own: bool = False
    """Extract the large model's own veneer and measure it too; needs --large-aligned."""
    systems: Annotated[tuple[str, ...] | None, Option(commas=True, metavar="NAME,...")] = None
    """Systems to measure on the tasks: base, shifted-ALPHA (shifted: all of them), baked, veneer,
    aligned, small-base, small-veneer, small-aligned. Default: all that the models allow."""
    rounds: Annotated[int, Option(name="timing")] = 5
    """Rounds of the timing, each with one batch per system; 0 leaves the timing out."""
    rank: int | None = None
    """Rank of the veneers that are extracted. Default: dense."""
    study: Annotated[StudyConfig, Option(hidden=True)] = field(default_factory=StudyConfig)
    """How captures, extractions and answers are made."""

    def __post_init__(self) -> None:
        """Raises InputError for an alpha that cannot be read or is named twice, or one round."""
        alphas = tuple(map(str, alphas_of_setting(self.alphas, "alphas")))
        object.__setattr__(self, "alphas", alphas)
        if not alphas:
            raise InputError(
                "there is no alpha; give at least one with --alphas, such as 1 or 1.5>0.5@10"
            )
        if twice := sorted({a for a in alphas if alphas.count(a) > 1}):
            raise InputError(f"--alphas names {twice[0]} twice; name each once")
        if self.rounds < 0 or self.rounds == 1:
            raise InputError(
                f"--timing is {self.rounds}; expected 2 or more rounds, so that there is an "
                "interval, or 0 for no timing"
            )
        if self.rank is not None:
            extraction = replace(self.study.extraction, rank=self.rank)
            object.__setattr__(self, "study", replace(self.study, extraction=extraction))

    @property
    def shifts(self) -> dict[str, Alpha]:
        """Name of each shifted system -> its alpha."""
        alphas = [Alpha.parse(a) for a in self.alphas]
        return {shifted_system(alpha).name: alpha for alpha in alphas}

    def names(self, *, aligned: bool, small_aligned: bool) -> list[str]:
        """Every system that can be measured, in the order of the tables. aligned, small_aligned:
        whether those models are given."""
        names = ["base", *self.shifts]
        names += ["baked"] * self.bake + ["veneer"] * self.own + ["aligned"] * aligned
        return [*names, *(r for r in REFERENCES if r != "small-aligned" or small_aligned)]

    def chosen(self, possible: Sequence[str]) -> list[str]:
        """The systems to measure on the tasks, in the order of `possible`. "shifted" stands for all
        of that kind. Raises InputError for a name that is not possible."""
        if self.systems is None:
            return list(possible)
        unknown = [s for s in self.systems if s not in possible and s != SHIFTED]
        if unknown or not self.systems:
            raise InputError(
                f"there is no system {unknown[0] if unknown else ''!r} to measure; expected some "
                f"of {', '.join(possible)}, or shifted for all of those"
            )
        shifts = self.shifts if SHIFTED in self.systems else {}
        return [s for s in possible if s in self.systems or s in shifts]

    def facts(self) -> dict[str, Any]:
        """For run.json. `own` is that of `study`, as it always was: a folder that Veneer 0.1 made
        must still compare equal."""
        return {
            "alphas": list(self.alphas),
            "bake": self.bake,
            "own": self.own,
            "rounds": self.rounds,
            "systems": None if self.systems is None else list(self.systems),
            **self.study.facts(),
        }
