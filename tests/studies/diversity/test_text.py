"""Words, token sets and Jaccard, and their matrices against a plain double loop."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veneer.foundation.text import clean, first_words, jaccard, sentences, tok, tok_list, words
from veneer.studies.diversity.text_measures import (
    cosine_matrix,
    jaccard_matrix,
    mean_distance,
    mean_pairwise_jaccard_distance,
)

SETS = st.lists(st.sets(st.sampled_from("abcdefgh")), min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Rest.\n```", "Rest."),
        ("Rest.\n```\n", "Rest."),
        ("a ``` b", "a ``` b"),
        ("x\n```\n```", "x\n```"),  # one fence only
        ("```", ""),
        ("```python\nx\n```", "```python\nx"),
    ],
)
def test_one_closing_fence_goes(text, cleaned):
    assert clean(text) == cleaned


def test_tokens():
    assert tok("Don't STOP, it's 3.5 o'clock!\n```") == {
        "don't",
        "stop",
        "it's",
        "3",
        "5",
        "o'clock",
    }
    assert tok("'tis a dog's' life é") == {"tis", "a", "dog's", "life"}
    assert tok("... ```") == frozenset()
    assert tok_list("the cat the") == ["the", "cat", "the"]


def test_words_are_counted_with_their_signs():
    assert words("a - b.\n```") == ["a", "-", "b."]
    assert first_words(" a  b\nc ```", 2) == "a b"


def test_sentences():
    text = "First one. Second one!\n1. A point\n2. Another point. And more?\n---\n```"
    assert sentences(text) == [
        "First one.",
        "Second one!",
        "A point",
        "Another point.",
        "And more?",
    ]
    assert sentences("```") == []


def test_two_empty_sets_are_the_same():
    assert jaccard(set(), set()) == 1 and jaccard(set(), {"a"}) == 0


@given(SETS, SETS)
def test_matrix_is_the_double_loop(a, b):
    matrix = jaccard_matrix(a, b)
    assert np.allclose(matrix, [[jaccard(x, y) for y in b] for x in a])
    assert np.allclose(matrix, jaccard_matrix(b, a).T)
    assert np.allclose(jaccard_matrix(a), jaccard_matrix(a, a)), (
        "few sets take another way than many"
    )
    assert ((matrix >= 0) & (matrix <= 1)).all()


@given(SETS, st.randoms())
def test_diversity_knows_no_order(a, random):
    shuffled = list(a)
    random.shuffle(shuffled)
    once, again = mean_pairwise_jaccard_distance(a), mean_pairwise_jaccard_distance(shuffled)
    if len(a) < 2:
        assert once is None and again is None
        return
    assert once == pytest.approx(
        np.mean([1 - jaccard(x, y) for x, y in itertools.combinations(a, 2)])
    )
    assert once == pytest.approx(again) and -1e-12 <= once <= 1


def test_cosines():
    rows = np.array([[3.0, 0], [0, 2], [1, 1], [0, 0], [0, 0]])
    matrix = cosine_matrix(rows)
    assert (
        matrix[0, 1] == 0
        and matrix[0, 2] == pytest.approx(np.sqrt(0.5))
        and matrix[0, 0] == pytest.approx(1)
    )
    assert matrix[0, 3] == 0 and matrix[3, 4] == 1  # two answers without words are the same answer
    assert mean_distance(np.ones((4, 4))) == 0 and mean_distance(np.eye(3)) == 1


def test_texts_in_other_scripts_have_tokens():
    """Three answers without a Latin letter were equal to each other: none had a token."""
    assert tok("我喜欢苹果。") == {"我", "喜", "欢", "苹", "果"}
    assert tok("لا أعرف ذلك") == {"لا", "أعرف", "ذلك"}
    assert tok("Я не знаю, 5") == {"я", "не", "знаю", "5"}
    assert jaccard(tok("我喜欢苹果。"), tok("今天天气好。")) == 0
    # the paper's tokens where most letters are ASCII
    assert tok("Où est le café?") == {"o", "est", "le", "caf"}
    assert sentences("今天好。明天也好！") == ["今天好。", "明天也好！"]
