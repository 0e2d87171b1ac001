"""How much of a shift is added at each position of the answer."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from veneer.foundation.errors import SettingError

_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_CONSTANT = re.compile(_NUMBER)
_FIRST = re.compile(rf"({_NUMBER})@([0-9]+)")
_LINE = re.compile(rf"({_NUMBER})>({_NUMBER})@([0-9]+)")
_FADE = re.compile(rf"({_NUMBER})~({_NUMBER})")
EXPECTED = (
    "expected a number such as 1, or a schedule over the answer's positions: 1.5@10 (1.5 for the "
    "first 10, then 0), 1.5>0.2@10 (a line from 1.5 at the first to 0.2 at the tenth, constant "
    "after) or 1.5~8 (fading, half of it every 8 tokens)"
)


@dataclass(frozen=True, slots=True)
class Alpha:
    """alpha(t) of logits_L + alpha(t) dW h_s, t = 1 at the first token of the answer.

    start: alpha(1). steps: None for a constant or a fade; otherwise alpha changes linearly to `end`
    at position `steps` and stays at it, or, with end None, is `start` up to position `steps` and 0
    after it. half_life: tokens in which a fade halves.
    """

    start: float = 1.0
    end: float | None = None
    steps: int | None = None
    half_life: float | None = None

    def __post_init__(self) -> None:
        for value in (self.start, self.end, self.half_life):
            if value is not None and not math.isfinite(value):
                raise SettingError("alpha", f"has the number {value}; {EXPECTED}")
        if self.half_life is not None and (
            self.half_life <= 0 or self.steps is not None or self.end is not None
        ):
            raise SettingError(
                "alpha",
                f"has the half-life {self.half_life}, which must be above 0 and without "
                f"positions; {EXPECTED}",
            )
        if self.end is not None and (self.steps is None or self.steps < 2):
            raise SettingError(
                "alpha",
                f"has a line over {self.steps} position(s), which must be 2 or more; {EXPECTED}",
            )
        if self.steps is not None and self.steps < 1:
            raise SettingError("alpha", f"has {self.steps} positions; {EXPECTED}")

    @classmethod
    def parse(cls, text: str | float | Alpha) -> Alpha:
        """From a number or a schedule's text. Raises InputError that names the forms."""
        if isinstance(text, Alpha):
            return text
        if isinstance(text, int | float) and not isinstance(text, bool):
            return cls(float(text))
        words = str(text).strip()
        if _CONSTANT.fullmatch(words):
            return cls(float(words))
        if match := _FIRST.fullmatch(words):
            return cls(float(match[1]), steps=_count(match[2]))
        if match := _LINE.fullmatch(words):
            return cls(float(match[1]), float(match[2]), _count(match[3]))
        if match := _FADE.fullmatch(words):
            return cls(float(match[1]), half_life=float(match[2]))
        raise SettingError("alpha", f"is {words[:60]!r}; {EXPECTED}")

    @property
    def constant(self) -> float | None:
        """The number, where it is the same at all positions."""
        return self.start if self.steps is None and self.half_life is None else None

    @property
    def last(self) -> int | None:
        """The last position at which it is not 0; None without such a limit."""
        if self.start == 0 and not self.end:
            return 0
        if self.steps is None:
            return None
        if self.end is None:
            return self.steps
        return self.steps - 1 if self.end == 0 else None

    def at(self, position: int) -> float:
        """alpha of a 1-based position of the answer."""
        if position < 1:
            raise ValueError(f"position is {position}; the first token of an answer has position 1")
        if self.half_life is not None:
            return self.start * 2.0 ** (-(position - 1) / self.half_life)
        if self.steps is None:
            return self.start
        if self.end is None:
            return self.start if position <= self.steps else 0.0
        if position >= self.steps:
            return self.end
        return self.start + (self.end - self.start) * (position - 1) / (self.steps - 1)

    def __str__(self) -> str:
        if self.half_life is not None:
            return f"{_shortest(self.start)}~{_shortest(self.half_life)}"
        if self.steps is None:
            return _shortest(self.start)
        if self.end is None:
            return f"{_shortest(self.start)}@{self.steps}"
        return f"{_shortest(self.start)}>{_shortest(self.end)}@{self.steps}"


def alphas_of_setting(texts: Sequence[str], setting: str) -> list[Alpha]:
    """The alphas of a setting that has several. Raises SettingError that names the setting."""
    try:
        return [Alpha.parse(text) for text in texts]
    except SettingError as error:
        raise SettingError(setting, error.problem) from None


def _count(digits: str) -> int:
    """More positions than any answer has are all the same."""
    return int(digits) if len(digits) <= 9 else 10**9


def _shortest(value: float) -> str:
    """The shortest text of a number."""
    return repr(float(value) + 0.0).removesuffix(".0")
