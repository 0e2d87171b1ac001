"""Sums: stories with two numbers, to add or to take away. Pairs of numbers are split into train and test once and for all."""

from __future__ import annotations

import random
from dataclasses import dataclass

from veneer.lab.people import PEOPLE

LARGEST = 10
_TEST_SHARE = 0.15
THINGS = ("apples", "coins", "books", "eggs", "shells", "stones", "pens", "cups", "hats", "keys", "plates", "bells")
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
        """What somebody answers who does not work it out: the first number of the story."""
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


def story(rng: random.Random, s: Sum) -> str:
    """A story about the sum, with a person and things drawn by `rng`."""
    template = rng.choice(ADD if s.sign == "+" else TAKE)
    return template.format(n=rng.choice(PEOPLE), a=s.a, b=s.b, t=rng.choice(THINGS))
