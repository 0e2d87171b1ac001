"""A judge made of what a program has at hand: a function, or an object with a method `judge`."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from types import CodeType
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.progress import Progress
from veneer.judges.judge import Judge, Scores
from veneer.prompts.prompt import Prompt
from veneer.statistics.intervals import SCALES

EXPECTED = (
    "a function of (answer) or of (prompt, answer), an object with such a method `judge`, or a "
    "veneer.Judge"
)
SHARE, POINTS = "share", "points"  # units


class GivenJudge:
    """The judge of one metric, whose value a function gives.

    score: a function of (answer) or of (prompt, answer), with the answer as text and the prompt as
    veneer.Prompt; it gives a number, True or False, or None for no verdict. metric: the name of
    what it gives, and of the judge. id: the metric's name and a hash of the function's code, so
    that a folder of results does not outlive the function that scored it. unit: what the value is
    in; None: a share where the function gives True or False, otherwise points, which have no scale.
    """

    note: str | None = None

    def __init__(self, score: Callable[..., Any], metric: str, unit: str | None = None):
        self._score, self._both = score, _takes_prompt(score)
        self.name = metric
        self.id = f"{metric}-{code_hash(score)[:12]}"
        self.metrics: Mapping[str, str] = {metric: unit or SHARE}
        self._unit_given = unit is not None

    def scores(
        self, prompts: Sequence[Prompt], texts: Sequence[str], progress: Progress | None = None
    ) -> list[Scores]:
        """Return the function's value of each answer. Raises InputError for one that is no
        number."""
        rows: list[Scores] = []
        for prompt, text in zip(prompts, texts, strict=True):
            value = self._score(prompt, text) if self._both else self._score(text)
            rows.append({self.name: self._number(value)})
            if not self._unit_given and value is not None and not is_verdict(value):
                self.metrics = {self.name: POINTS}
            if progress:
                progress(len(rows), len(texts), f"judge {self.name}")
        return rows

    def _number(self, value: Any) -> float | None:
        number = _number(self.name, value)
        least, most = SCALES.get(self.metrics[self.name], (-math.inf, math.inf))
        if self._unit_given and number is not None and not least <= number <= most:
            raise InputError(
                f"the scorer {self.name} gave {number:g}, and its unit is "
                f"{self.metrics[self.name]!r}; expected {least:g} to {most:g}, or another unit"
            )
        return number


def is_verdict(value: Any) -> bool:
    """Whether a scorer's value is True or False, NumPy's included."""
    return type(value).__name__ in ("bool", "bool_")


def as_judge(given: Any, metric: str | None = None, unit: str | None = None) -> Judge:
    """Return a veneer.Judge as it is, and a judge of a function or of an object with `judge`.

    metric: the name of what it gives. Default: the function's own name, or the class's. unit: of
    what it gives (see GivenJudge); a veneer.Judge has units of its own. Raises InputError for
    anything else.
    """
    if inspect.isclass(given):
        raise InputError(
            f"found the class {given.__name__} as a scorer; expected an object: give "
            f"{given.__name__}()"
        )
    if all(hasattr(given, member) for member in ("name", "id", "metrics", "scores")):
        return given
    method = getattr(given, "judge", None)
    score, owner = (method, type(given)) if callable(method) else (given, given)
    if not callable(score):
        raise InputError(f"found {type(given).__name__} as a scorer; expected {EXPECTED}")
    name = metric or str(getattr(owner, "__name__", "score"))
    return GivenJudge(score, name if name.isidentifier() else "score", unit)


def code_hash(function: Callable[..., Any]) -> str:
    """Return the sha256 of a function's code: equal where it was defined twice alike. A callable
    that is not written in Python has its name alone."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    parts = _parts(code) if code else [getattr(function, "__qualname__", type(function).__name__)]
    return hashlib.sha256(repr(parts).encode("utf-8", "replace")).hexdigest()


def _parts(code: CodeType) -> list[Any]:
    nested = [_parts(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return [code.co_code, code.co_names, nested]


def _takes_prompt(score: Callable[..., Any]) -> bool:
    """Return whether a function takes prompt and answer; parameters with a default do not count.
    Raises InputError where it takes neither one nor two values."""
    try:
        signature = inspect.signature(score)
    except (TypeError, ValueError):  # of a compiled function: the answer alone
        return False
    for values in (("answer",), ("prompt", "answer")):
        with contextlib.suppress(TypeError):
            signature.bind(*values)
            return len(values) == 2
    raise InputError(f"found a scorer of {signature}; expected {EXPECTED}")


def _number(metric: str, value: Any) -> float | None:
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InputError(
            f"the scorer {metric} gave {value!r}; expected a number, True or False, or None for "
            "no verdict"
        ) from None
