"""Vendi score, distinct-n and self-BLEU against closed forms and nltk; every
measure of one system."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veneer.foundation.errors import InputError
from veneer.studies.diversity.measures import lexical_diversities, measures, table
from veneer.studies.diversity.text_measures import (
    ORDERS,
    cosine_matrix,
    distinct,
    jaccard_matrix,
    order_name,
    self_bleu,
    vendi_score,
)

ANSWERS = st.lists(st.lists(st.sampled_from("abcde"), max_size=12), min_size=2, max_size=5)


@pytest.mark.parametrize("q", ORDERS)
@pytest.mark.parametrize(("k", "each"), [(1, 4), (3, 1), (3, 5), (5, 2)])
def test_k_groups_of_equal_answers_are_k(q, k, each):
    group = np.repeat(np.arange(k), each)
    assert vendi_score((group[:, None] == group[None]).astype(float), q) == pytest.approx(k)


def test_orders_of_two_unequal_groups():
    """Three answers of one kind and one of another: eigenvalues 3/4 and 1/4."""
    group = np.array([0, 0, 0, 1])
    k = (group[:, None] == group[None]).astype(float)
    p = np.array([0.75, 0.25])
    assert vendi_score(k, 0) == pytest.approx(2)
    assert vendi_score(k, 1) == pytest.approx(math.exp(-(p * np.log(p)).sum()))
    assert vendi_score(k, 2) == pytest.approx(1 / (p**2).sum())
    assert vendi_score(k, np.inf) == pytest.approx(4 / 3)
    assert vendi_score(k, 0.5) == pytest.approx(np.sqrt(p).sum() ** 2)
    with pytest.raises(InputError, match="order of the Vendi score is -1"):
        vendi_score(k, -1)


@given(st.lists(st.sets(st.sampled_from("abcdefgh")), min_size=1, max_size=6))
def test_vendi_bounds_and_orders(sets):
    k = jaccard_matrix(sets)
    scores = [vendi_score(k, q) for q in ORDERS]
    assert all(1 - 1e-9 <= x <= len(sets) + 1e-9 for x in scores)
    assert all(a >= b - 1e-6 for a, b in itertools.pairwise(scores)), "falls with the order"


def test_order_names():
    assert [order_name(q) for q in ORDERS] == ["q0", "q0.5", "q1", "q2", "qinf"]


def test_distinct():
    assert distinct([["a", "b", "a"], ["a", "b"]], 1) == 2 / 5
    # over tokens, as Li et al. 2016 do: ab and ba
    assert distinct([["a", "b", "a"], ["a", "b"]], 2) == 2 / 5
    assert distinct([[], []], 1) is None


@given(ANSWERS)
@settings(max_examples=25, deadline=None)
def test_self_bleu_is_that_of_nltk(answers):
    bleu = pytest.importorskip("nltk.translate.bleu_score", reason="needs nltk to compare with")
    smooth = bleu.SmoothingFunction().method1
    others = [[a for j, a in enumerate(answers) if j != i] for i in range(len(answers))]
    expected = [
        bleu.sentence_bleu(o, a, smoothing_function=smooth) if a else 0.0
        for a, o in zip(answers, others, strict=True)
    ]
    if any(answers):
        assert self_bleu(answers) == pytest.approx(np.mean(expected), abs=1e-9)
    else:
        assert self_bleu(answers) is None


def test_self_bleu_of_equal_answers_is_one():
    assert self_bleu([list("abcdef")] * 3) == pytest.approx(1) and self_bleu([list("abc")]) is None


def test_measures_of_a_prompt():
    long = " ".join(f"w{i}" for i in range(60))
    values = measures(["the cat\n```", "the dog", "", long], np.eye(4), orders=(1.0, np.inf))
    assert values["lexical_diversity"] == pytest.approx(np.mean([2 / 3, 1, 1, 1, 1, 1]))
    assert values["lexical_diversity_nonempty"] == pytest.approx((2 / 3 + 1 + 1) / 3)
    assert values["semantic_diversity"] == 1 and values["vendi_semantic_qinf"] == pytest.approx(4)
    assert values["words"] == (2 + 2 + 0 + 60) / 4 and values["empty"] == 0.25
    assert values["lexical_diversity_matched"] is None, "one answer alone has 50 words"
    two = measures([long, long + " more words"])
    assert two["lexical_diversity_matched"] == 0 and 0 < two["lexical_diversity"] < 0.05
    alone = measures(["one"])
    assert (
        alone["lexical_diversity"] is None
        and alone["self_bleu"] is None
        and alone["vendi_lexical_q1"] is None
    )
    assert np.isnan(table([values, alone])["lexical_diversity"][1])


def test_prompts_are_read_from_a_stream():
    seen = 0

    def stream():
        nonlocal seen
        for i in range(1000):
            seen += 1
            yield ["a b c", f"a b {i}"]

    diversities = lexical_diversities(stream())
    assert next(diversities) == 0.5 and seen == 1


def test_zero_vectors_are_one_answer():
    assert cosine_matrix(np.zeros((2, 3))).tolist() == [[1, 1], [1, 1]]
