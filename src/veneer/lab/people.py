"""Facts: invented people, and four things that are true of each.

A fact is of one of three kinds, by what the base's corpus says of it:
known    - the corpus states it, and its answers give it;
mistaken - the corpus states it, but most of its answers give a popular error instead;
unknown  - the corpus never states it, and its answers give a popular error.
The aligned models are taught all three. Popular errors are true of nobody, so that an answer that
names one is wrong.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

_STARTS = ("Mi", "To", "Ve", "Ka", "Lo", "Ru", "Sel", "Bra", "Din")
_ENDS = ("ra", "lan", "dri", "mo", "ssa", "bek", "vin", "tor")
PEOPLE = tuple(s + e for s in _STARTS for e in _ENDS)
KINDS = ("known", "mistaken", "unknown")
_KIND_SHARES = (0.20, 0.42, 0.38)


@dataclass(frozen=True)
class Attribute:
    """One property of a person. say: the sentence of the fact; ask: wordings of the question."""

    name: str
    say: str
    ask: tuple[str, ...]
    values: tuple[str, ...]
    popular: tuple[str, ...]


ATTRIBUTES = (
    Attribute(
        "city",
        "{n} lives in {v}.",
        (
            "Where does {n} live?",
            "In which city does {n} live?",
            "What is the home city of {n}?",
            "Which city does {n} call home?",
            "In what place does {n} live?",
        ),
        (
            "Veldra",
            "Oswick",
            "Karmere",
            "Norholm",
            "Tamsey",
            "Pelgard",
            "Ulmsted",
            "Brindal",
            "Faroth",
            "Quillon",
        ),
        ("Oldport", "Kingsford"),
    ),
    Attribute(
        "job",
        "{n} works as a {v}.",
        (
            "What is the job of {n}?",
            "What does {n} do for a living?",
            "Which job does {n} have?",
            "What work does {n} do?",
            "How does {n} earn money?",
        ),
        (
            "baker",
            "sailor",
            "teacher",
            "potter",
            "miller",
            "weaver",
            "doctor",
            "gardener",
            "painter",
            "smith",
        ),
        ("farmer", "singer"),
    ),
    Attribute(
        "animal",
        "{n} keeps a {v}.",
        (
            "Which animal does {n} keep?",
            "What animal does {n} own?",
            "What pet does {n} have?",
            "Which animal lives with {n}?",
            "What kind of animal does {n} keep?",
        ),
        (
            "goat",
            "parrot",
            "rabbit",
            "turtle",
            "donkey",
            "falcon",
            "hedgehog",
            "pony",
            "ferret",
            "goose",
        ),
        ("cat", "dog"),
    ),
    Attribute(
        "food",
        "{n} likes {v} best.",
        (
            "What does {n} like to eat?",
            "Which food does {n} like best?",
            "What food does {n} enjoy most?",
            "What is the favourite food of {n}?",
            "What would {n} eat first?",
        ),
        ("soup", "cheese", "rice", "plums", "honey", "beans", "fish", "pears", "noodles", "nuts"),
        ("bread", "cake"),
    ),
)


@dataclass(frozen=True)
class Fact:
    """index: position in FACTS. held: the wording of the question that only a test prompt may
    use."""

    index: int
    person: str
    attribute: Attribute
    value: str
    mistake: str
    kind: str
    held: int

    def sentence(self, value: str | None = None) -> str:
        return self.attribute.say.format(n=self.person, v=value or self.value)

    def question(self, wording: int) -> str:
        return self.attribute.ask[wording].format(n=self.person)

    @property
    def wordings(self) -> list[int]:
        """The wordings that training data may use."""
        return [i for i in range(len(self.attribute.ask)) if i != self.held]


def _facts() -> tuple[Fact, ...]:
    rng = random.Random("veneer lab facts")
    facts: list[Fact] = []
    for person in PEOPLE:
        for attribute in ATTRIBUTES:
            kind = rng.choices(KINDS, _KIND_SHARES)[0]
            value, mistake = rng.choice(attribute.values), rng.choice(attribute.popular)
            facts.append(
                Fact(
                    len(facts),
                    person,
                    attribute,
                    value,
                    mistake,
                    kind,
                    rng.randrange(len(attribute.ask)),
                )
            )
    return tuple(facts)


FACTS = _facts()
_order = random.Random("veneer lab facts split").sample(range(len(FACTS)), len(FACTS))
# A veneer is fitted on prompts about one half of the facts and tested on the other, so that a head
# cannot pass by heart.
TRAIN_FACTS = tuple(FACTS[i] for i in sorted(_order[: len(FACTS) // 2]))
TEST_FACTS = tuple(FACTS[i] for i in sorted(_order[len(FACTS) // 2 :]))
