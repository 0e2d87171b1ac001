"""The openings of a model's refusals: the first tokens that tell a refusal from other answers.

All answers stand in a prefix tree of tokens. From the root down, a beginning is an opening as soon
as almost no other answer shares it; so an opening is as long as it has to be, and no longer. An
example: where refusals begin with "I'm sorry" and "I can't" and other answers with "I'm happy",
the openings are "I'm sorry" and "I can't", and not "I".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Ids = tuple[int, ...]

LONGEST = 8  # tokens of an opening
PURE = 0.95  # share of refusals among the answers behind an opening
LEAST = 0.02  # share of all refusals that an opening must begin
LEAST_REFUSALS = 3  # fewer refusals show no opening


class JudgedAnswer(NamedTuple):
    """The first tokens of an answer, and whether a judge calls it a refusal."""

    ids: Ids
    refused: bool


class Opening(NamedTuple):
    """Token ids of an opening; how many refusals and how many other answers begin with it."""

    ids: Ids
    refusals: int
    others: int


@dataclass(frozen=True)
class RefusalOpenings:
    """The openings of a model's refusals, none of which begins another one.

    refusals, others: number of all answers of either kind that were looked at.
    """

    openings: tuple[Opening, ...]
    refusals: int
    others: int

    @property
    def coverage(self) -> float:
        """Share of the refusals that begin with one of the openings."""
        return sum(o.refusals for o in self.openings) / self.refusals

    def facts(self, text_of: Any) -> dict[str, Any]:
        """As JSON. text_of: a function from token ids to text."""
        shown = [
            {"text": text_of(list(o.ids)), "refusals": o.refusals, "others": o.others}
            for o in self.openings
        ]
        return {"refusals": self.refusals, "others": self.others, "openings": shown}


@dataclass
class _Node:
    refusals: int = 0
    others: int = 0
    children: dict[int, _Node] = field(default_factory=dict)

    @property
    def pure(self) -> bool:
        return self.refusals >= PURE * (self.refusals + self.others)


def refusal_openings(answers: Iterable[JudgedAnswer]) -> RefusalOpenings | None:
    """The openings of the refusals among the answers; None for fewer than LEAST_REFUSALS refusals,
    and where no beginning of up to LONGEST tokens tells a refusal from other answers.

    A beginning is an opening where it begins at least LEAST of the refusals, at least PURE of the
    answers behind it are refusals, and no shorter beginning of it is an opening. A single answer
    without tokens counts as one of the others.
    """
    root = _Node()
    for ids, refused in answers:
        for node in _path(root, ids[:LONGEST]):
            node.refusals += refused
            node.others += not refused
    if root.refusals < LEAST_REFUSALS:
        return None
    least = max(1.0, LEAST * root.refusals)
    openings = sorted(_openings(root, (), least), key=lambda o: (-o.refusals, o.ids))
    return RefusalOpenings(tuple(openings), root.refusals, root.others) if openings else None


def _path(root: _Node, ids: Sequence[int]) -> Iterator[_Node]:
    """The root and the nodes behind it along the ids, made where they are missing."""
    node = root
    yield node
    for i in ids:
        node = node.children.setdefault(i, _Node())
        yield node


def _openings(node: _Node, ids: Ids, least: float) -> Iterator[Opening]:
    for i, child in node.children.items():
        if child.refusals < least:
            continue
        if child.pure:
            yield Opening((*ids, i), child.refusals, child.others)
        else:
            yield from _openings(child, (*ids, i), least)
