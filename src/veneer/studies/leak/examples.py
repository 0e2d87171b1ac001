"""The data that a model may give away: questions and answers, and others that it never saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from veneer.foundation.errors import InputError
from veneer.imports.examples import Example, read_examples
from veneer.studies.leak.names import ANSWER, PAIR, QUESTION


@dataclass(frozen=True)
class Texts:
    """One field (question, answer, or both) of a data set: the distinct texts, white space apart,
    and how often each occurs."""

    texts: tuple[str, ...]
    copies: tuple[int, ...]

    @classmethod
    def of(cls, examples: Sequence[Example], field: str) -> Texts:
        """Empty where the data lacks the field."""
        counts = Counter(t for e in examples if (t := text_of(e.question, e.answer, field)))
        return cls(tuple(counts), tuple(counts.values()))

    def without(self, others: Texts) -> Texts:
        """The texts that the other set does not hold."""
        theirs = set(others.texts)
        kept = [(t, n) for t, n in zip(self.texts, self.copies, strict=True) if t not in theirs]
        return Texts(tuple(t for t, _ in kept), tuple(n for _, n in kept))

    def __len__(self) -> int:
        return len(self.texts)


def text_of(question: str, answer: str | None, field: str) -> str:
    """The text of a field, with single spaces; "" where there is none. A pair needs both."""
    question, answer = (" ".join((text or "").split()) for text in (question, answer))
    texts = {QUESTION: question, ANSWER: answer}
    if field == PAIR:
        return f"{question} {answer}" if question and answer else ""
    return texts[field]


def unseen(held_out: Sequence[Example], members: Sequence[Example], field: str) -> list[Example]:
    """The held-out examples whose text in that field no member has. A stock answer, such as a
    refusal, may stand in both files, and the model has seen it."""
    seen = {text_of(e.question, e.answer, field) for e in members}
    return [e for e in held_out if text_of(e.question, e.answer, field) not in seen]


def check_examples(members: Sequence[Example], held_out: Sequence[Example]) -> None:
    """Raises InputError where a threshold cannot be calibrated."""
    for name, examples in (("--examples", members), ("--held-out", held_out)):
        if not examples:
            raise InputError(
                f"{name} holds no example; expected questions, with or without answers"
            )
    fresh = Texts.of(held_out, QUESTION).without(Texts.of(members, QUESTION))
    if len(fresh) < LEAST:
        raise InputError(
            f"--held-out has {len(fresh)} questions that --examples does not hold; expected "
            f"{LEAST} or more, of the same source, for the threshold"
        )


LEAST = 20  # held-out questions; a false rate of 1 % needs 200


__all__ = ["Example", "Texts", "check_examples", "read_examples", "text_of"]
