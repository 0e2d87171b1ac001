"""Sums: stories with two numbers, to add or to take away. Pairs of numbers are split into train and
test once and for all.

The base's corpus and the train prompts hold train sums only, so that neither a base nor a veneer
can know a test sum by heart. The aligned models are taught all sums, but a test sum never in the
wording that its test prompts use.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from veneer.lab.people import PEOPLE

LARGEST = 10
_TEST_SHARE = 0.15
THINGS = (
    "apples",
    "coins",
    "books",
    "eggs",
    "shells",
    "stones",
    "pens",
    "cups",
    "hats",
    "keys",
    "plates",
    "bells",
)
ADD = (
    "{n} has {a} {t} and finds {b} more. How many {t} does {n} have now?",
    "There are {a} {t} in a box. {n} puts in {b} more. How many {t} are in the box?",
    "{n} buys {a} {t} on Monday and {b} on Friday. How many {t} is that?",
    "{n} and a friend have {a} and {b} {t}. How many {t} do they have together?",
)
TAKE = (
    "{n} has {a} {t} and loses {b} of them. How many {t} are left?",
    "There are {a} {t} in a box. {n} takes out {b}. How many {t} are in the box?",
    "{n} had {a} {t} and sold {b}. How many {t} does {n} have now?",
    "Of {a} {t}, {b} are broken. How many {t} are whole?",
)


@dataclass(frozen=True)
class Sum:
    """a + b or a - b; results lie in 1..2 * LARGEST."""

    a: int
    b: int
    sign: str

    @property
    def result(self) -> int:
        return self.a + self.b if self.sign == "+" else self.a - self.b

    @property
    def equation(self) -> str:
        return f"{self.a} {self.sign} {self.b} = {self.result}"

    def lazy(self) -> int:
        """Return the answer of a model that does not calculate: the first number of the story."""
        return self.a


def _split() -> tuple[tuple[Sum, ...], tuple[Sum, ...]]:
    rng = random.Random("veneer lab sums")
    numbers = range(1, LARGEST + 1)
    plus = [Sum(a, b, "+") for a in numbers for b in numbers]
    minus = [Sum(a + b, b, "-") for a in numbers for b in numbers]
    train: list[Sum] = []
    test: list[Sum] = []
    for pool in (plus, minus):
        rng.shuffle(pool)
        cut = round(len(pool) * _TEST_SHARE)
        test += pool[:cut]
        train += pool[cut:]
    return tuple(train), tuple(test)


TRAIN_SUMS, TEST_SUMS = _split()


_TEST = frozenset(TEST_SUMS)


def story(rng: random.Random, s: Sum, *, held: bool = False) -> str:
    """Write a story about the sum, with a person and things drawn by `rng`.

    A test sum has one wording that only its test prompts use (`held`); without `held` it gets one
    of the others.
    """
    templates = ADD if s.sign == "+" else TAKE
    own = (s.a + s.b) % 3  # never the last wording: it names too few things to tell many stories
    if held:
        template = templates[own]
    else:
        template = rng.choice(
            tuple(t for i, t in enumerate(templates) if i != own) if s in _TEST else templates
        )
    return template.format(n=rng.choice(PEOPLE), a=s.a, b=s.b, t=rng.choice(THINGS))
