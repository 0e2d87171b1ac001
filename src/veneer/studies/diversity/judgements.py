"""What judges wrote, read without trust: JSON that may be cut, numbers that may be texts,
"N/A", 'A: 5, B: 3'.

None is no verdict; it is counted and never a score. A cut JSON is not mended: what is missing might
have changed the rest.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from veneer.judges.rubrics.reading import Unreadable, parse_object

STANCES = ("yes", "no", "both", "other")
SCORE = re.compile(r"\s*([1-5](?:\.\d+)?)\s*(?:/\s*5)?\s*")
OF_EACH = re.compile(r"\b(A|B)\s*[:=]\s*([1-5](?:\.\d+)?)(?!\d)", re.IGNORECASE)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Topic:
    """where: "A", "B" or "both". helpfulness: 1..5, None where the judge gave none."""

    where: str
    helpfulness: float | None


@dataclass
class Read(Generic[T]):
    """One value a judge output, None where it gave none, and why."""

    values: list[T | None] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def parsed(self) -> int:
        return sum(v is not None for v in self.values)


def read_all(contents: Iterable[str | None], parse: Callable[[str], T | None]) -> Read[T]:
    """Parse every judge output; count those without a verdict by reason."""
    found: Read[T] = Read()
    for content in contents:
        value = None if content is None else parse(content)
        found.values.append(value)
        if content is None:
            found.failed["the judgement failed"] += 1
        elif value is None:
            found.failed[
                "no JSON object: cut, or something else"
                if as_object(content) is None
                else "no such score"
            ] += 1
    return found


def as_object(content: str) -> dict[str, Any] | None:
    """The JSON object that the whole judge output is, perhaps in a code fence; None
    for anything else."""
    try:
        return parse_object(content)
    except Unreadable:
        return None


def score(value: Any) -> float | None:
    """A score from 1 to 5: a number, or a text that is one ("4", "4/5"); nothing else ("N/A", 'A:
    5, B: 3', true)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    match = SCORE.fullmatch(value) if isinstance(value, str) else None
    number = float(match[1]) if match else float(value) if isinstance(value, int | float) else 0.0
    return number if 1 <= number <= 5 else None


def aspect(name: str) -> Callable[[str], float | None]:
    """A parser of one aspect of a quality judgement: {"helpfulness": {"score": "4", "reason": ...},
    ...} or {"helpfulness": 4}."""

    def parse(content: str) -> float | None:
        value = (as_object(content) or {}).get(name)
        return score(value.get("score") if isinstance(value, dict) else value)

    return parse


def novelty(content: str) -> float | None:
    """{"score": "2", "reason": ...}: what an alternative adds to a reference, 1 nothing
    .. 5 entirely new."""
    return score((as_object(content) or {}).get("score"))


def stance(content: str) -> str | None:
    """{"stance": "yes", ...}: yes, no, both or other."""
    value = (as_object(content) or {}).get("stance")
    label = value.strip().lower().rstrip(".") if isinstance(value, str) else None
    return label if label in STANCES else None


def topics(content: str) -> list[Topic] | None:
    """{"topics": [{"name", "response": A, B or both, "helpfulness"}]}. A helpfulness of each
    ('A: 5, B: 3') is the side's own, and of a topic in both their mean. Topics that name no
    side are left out."""
    listed = (as_object(content) or {}).get("topics")
    if not isinstance(listed, list):
        return None
    found = []
    for row in listed:
        side = row.get("response") if isinstance(row, dict) else None
        place = (
            {"a": "A", "b": "B", "both": "both"}.get(side.strip().lower())
            if isinstance(side, str)
            else None
        )
        if place is not None:
            found.append(Topic(place, _of_sides(row.get("helpfulness"), place)))
    return found


def _of_sides(value: Any, place: str) -> float | None:
    plain = score(value)
    if plain is not None or not isinstance(value, str):
        return plain
    each = {side.upper(): float(number) for side, number in OF_EACH.findall(value)}
    wanted = [each[s] for s in ("A", "B") if s in each and place in (s, "both")]
    return sum(wanted) / len(wanted) if wanted else None
