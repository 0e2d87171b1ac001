"""Read a judge's JSON reply: strict about what counts as a verdict, tolerant only of its
wrapping."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from veneer.reasoning import split_reasoning

FENCE = re.compile(r"\A```[a-zA-Z]*\s*(.*?)\s*```\Z", re.S)
NOT_GIVEN = {"n/a", "na", "not applicable", "none", "null"}


class Unreadable(ValueError):
    """A reply without a verdict; the message gives the reason."""


def parse_object(text: str) -> dict[str, Any]:
    """Return the one JSON object that the whole text is, perhaps in one code fence, perhaps behind
    the judge's own thought (docs/thinking.md).

    Words around it, a second object, a key that stands twice, NaN: no verdict, because then
    it is not certain which part the judge meant and which part it quotes from the answer.
    Raises Unreadable.
    """
    text = judges_answer(text)
    if fenced := FENCE.match(text):
        text = fenced[1].strip()
    try:
        # not strict: a line break or a tab may stand in a text as it is
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant, strict=False)
    except Unreadable:
        raise
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not one JSON object ({str(error)[:80]})") from None
    if not isinstance(value, dict):
        raise Unreadable(f"a JSON {type(value).__name__} and no object")
    return value


def judges_answer(text: str) -> str:
    """Return a judge's reply without its thought. A verdict in JSON stays whole, whatever marks its
    words hold. Raises Unreadable where nothing follows the thought."""
    if text.lstrip().startswith(("{", "```")):
        return text.strip()
    parts = split_reasoning(text)
    if parts.unfinished:
        raise Unreadable("the judge's thought was cut before its verdict")
    return parts.answer.strip()


def field(fields: Mapping[str, Any], name: str) -> Any:
    """Return a field by its name, in any case. Raises Unreadable where it is missing."""
    hits = [k for k in fields if k.strip().lower() == name]
    if len(hits) != 1:
        raise Unreadable(
            f"the field {name!r} is missing" if not hits else f"the field {name!r} occurs twice"
        )
    return fields[hits[0]]


def scale(value: Any, low: int = 1, high: int = 5) -> float:
    """Return a whole number from low to high. A number written as text counts; "4/5" and 4.5 do
    not. Raises Unreadable."""
    if isinstance(value, str):
        try:
            value = float(value.strip())
        except ValueError:
            raise Unreadable(f"a score of {value[:40]!r}") from None
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or value != value
        or value not in range(low, high + 1)
    ):
        raise Unreadable(
            f"a score of {str(value)[:40]!r}, which is no whole number from {low} to {high}"
        )
    return float(value)


def one_score(fields: Mapping[str, Any]) -> dict[str, float]:
    """Return the verdict of a rubric whose only figure is `score`, 1 to 5."""
    return {"score": scale(field(fields, "score"))}


def scale_or_none(value: Any, low: int = 1, high: int = 5) -> float | None:
    """Return as `scale`, and None for "N/A" and null, with which a judge says that the aspect does
    not apply."""
    if value is None or (isinstance(value, str) and value.strip().lower() in NOT_GIVEN):
        return None
    return scale(value, low, high)


def yes_no(value: Any) -> float:
    """Return 1.0 or 0.0 for true/false, 1/0 or yes/no, also as text. Raises Unreadable."""
    if isinstance(value, str):
        value = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(
            value.strip().lower()
        )
    if value is True or value is False or (isinstance(value, int | float) and value in (0, 1)):
        return float(value)
    raise Unreadable("neither yes nor no")


def choice(value: Any, options: Sequence[str]) -> str:
    """Return one of the options, in any case. Raises Unreadable."""
    word = value.strip().lower() if isinstance(value, str) else None
    for option in options:
        if word == option.lower():
            return option
    raise Unreadable(f"{str(value)[:40]!r} in place of one of {', '.join(options)}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in pairs:
        if key in fields:
            raise Unreadable(f"the key {key[:40]!r} occurs twice")
        fields[key] = value
    return fields


def _no_constant(name: str) -> Any:
    raise Unreadable(f"{name} is no JSON")
