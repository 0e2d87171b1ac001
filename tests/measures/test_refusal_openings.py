"""Refusal openings: as long as they have to be, and no longer."""

from __future__ import annotations

import random

import pytest

from veneer.measures.refusal_openings import (
    LONGEST,
    JudgedAnswer,
    RefusalOpenings,
    refusal_openings,
)

WORDS = ["I", "'m", "can", "cannot", "sorry", "happy", "able", "not", "help", "Sure", "here", "You"]


def answers(*texts: tuple[str, bool, int]) -> list[JudgedAnswer]:
    """(words, whether refused, how often); a word's place in WORDS is its token id."""
    return [
        JudgedAnswer(tuple(WORDS.index(w) for w in text.split()), refused)
        for text, refused, times in texts
        for _ in range(times)
    ]


def texts(openings: RefusalOpenings | None) -> dict[str, int]:
    assert openings is not None
    return {" ".join(WORDS[i] for i in o.ids): o.refusals for o in openings.openings}


def test_an_opening_is_as_long_as_it_takes_to_separate():
    refused = answers(("I 'm sorry not", True, 10), ("I cannot help", True, 5))
    assert texts(refusal_openings(refused)) == {"I": 15}  # nothing else begins so
    others = answers(("I 'm happy", False, 4), ("Sure here", False, 6))
    openings = refusal_openings([*refused, *others])
    assert texts(openings) == {"I 'm sorry": 10, "I cannot": 5}
    assert (openings.refusals, openings.others, openings.coverage) == (15, 10, 1.0)
    more = answers(("I 'm sorry happy", False, 5))
    assert texts(refusal_openings([*refused, *others, *more])) == {
        "I 'm sorry not": 10,
        "I cannot": 5,
    }


def test_a_few_other_answers_behind_an_opening_are_counted_and_kept():
    openings = refusal_openings(answers(("I cannot", True, 99), ("I can", False, 1)))
    assert [(o.refusals, o.others) for o in openings.openings] == [(99, 1)]


def test_rare_beginnings_are_left_out_and_the_coverage_says_so():
    openings = refusal_openings(
        answers(("I cannot", True, 98), ("You cannot", True, 1), ("I can", False, 50))
    )
    assert texts(openings) == {"I cannot": 98}
    assert openings.coverage == pytest.approx(98 / 99)


def test_no_opening_begins_another_one():
    rng = random.Random(0)
    starts = [tuple(rng.choices(range(3), k=4)) for _ in range(40)]
    many = [JudgedAnswer((*start, *rng.choices(range(3), k=4)), sum(start) > 4) for start in starts]
    ids = [o.ids for o in refusal_openings(many * 3).openings]
    assert len(ids) > 3
    assert not any(a != b and b[: len(a)] == a for a in ids for b in ids)


def test_where_there_is_no_opening():
    assert refusal_openings([]) is None
    assert refusal_openings(answers(("I cannot", True, 2), ("Sure", False, 9))) is None
    # an answer that is like a refusal for as long as is looked at
    same = tuple(range(LONGEST))
    both = [JudgedAnswer((*same, i), i < 5) for i in range(10)]
    assert refusal_openings(both) is None
    assert refusal_openings([JudgedAnswer((), True)] * 5) is None
