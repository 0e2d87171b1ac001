"""Judge outputs as they come, the filter, stances, coverage and what is new."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veneer.foundation.errors import InputError
from veneer.studies.diversity import judged, words
from veneer.studies.diversity.answers_table import read_judgements
from veneer.studies.diversity.coverage import (
    cases,
    lexical_coverage,
    semantic_coverage,
    sentence_cases,
)
from veneer.studies.diversity.judged import (
    Topic,
    aspect,
    filtered,
    mean_helpfulness,
    novelty,
    read_all,
    score,
    score_shares,
    thresholds,
    topic_shares,
    topics,
)
from veneer.studies.diversity.judged import stance as stance_of

LABELS = st.lists(st.sampled_from(list(judged.SAYS)), min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("4", 4),
        (4, 4),
        ("4/5", 4),
        (" 3.5 ", 3.5),
        ("N/A", None),
        ("A: 5, B: 3", None),
        (True, None),
        (None, None),
        (0, None),
        (6, None),
        ("five", None),
        ("-3", None),
        ([4], None),
        (float("nan"), None),
    ],
)
def test_scores(value, expected):
    assert score(value) == expected


def test_quality_judgements():
    helpful = aspect("helpfulness")
    assert helpful('{"helpfulness": {"reason": "x", "score": "4"}}') == 4
    assert helpful('```json\n{"helpfulness": 2}\n```') == 2
    assert (
        helpful('{"helpfulness": {"score": "N/A"}}') is None
        and helpful('{"helpfulness": {"reason": "cut') is None
    )
    read = read_all(
        ['{"helpfulness": 1}', '{"helpful', None, '{"helpfulness": "N/A"}', "[1]"], helpful
    )
    assert read.values == [1, None, None, None, None] and read.parsed == 1
    assert dict(read.failed) == {
        "no JSON object: cut, or something else": 2,
        "the judgement failed": 1,
        "no such score": 1,
    }


def test_other_judgements():
    assert novelty('{"score": "2", "reason": ""}') == 2 and novelty('{"reason": ""}') is None
    assert (
        stance_of('{"stance": "Yes."}') == "yes"
        and stance_of('{"stance": "maybe"}') is None
        and stance_of("yes") is None
    )
    rows = [
        {"name": "x", "response": "A", "helpfulness": "5"},
        {"name": "y", "response": "both", "helpfulness": "A: 5, B: 3"},
        {"name": "z", "response": "B", "helpfulness": "A: 5, B: 3"},
        {"name": "n", "response": "b", "helpfulness": "N/A"},
        {"name": "no side", "response": "C", "helpfulness": 4},
        "no object",
    ]
    assert topics(json.dumps({"topics": rows})) == [
        Topic("A", 5),
        Topic("both", 4),
        Topic("B", 3),
        Topic("B", None),
    ]
    assert topics('{"topics": [{"name": "cut') is None and topics('{"topics": 3}') is None


def test_filter_stands_beside_the_same_prompts():
    a, b = (
        np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0.0]]),
        np.array([[0, 0.2, 1], [0.2, 0, 1], [1, 1, 0.0]]),
    )
    kept = filtered([a, b, a], [[5, 1, None], [4, 5, 1], [3, 3, 4]], 4)
    assert kept.samples == 4 and kept.prompts.tolist() == [1]
    assert kept.kept == pytest.approx([0.2]) and kept.unfiltered == pytest.approx([2.2 / 3])
    assert thresholds([[5, 1, None], [4, 5, 1]]) == [4, 5]
    assert filtered([a], [[1, 1, 1]], 4).prompts.size == 0


@pytest.mark.parametrize(
    ("labels", "bits", "apart", "sides"),
    [
        (["yes"] * 4, 0, 0, 0),
        (["yes", "no"], 1, 1, 1),
        (["yes", "yes", "no", "no"], 1, 4 / 6, 1),
        (["both"], 0, None, 0),
        (["yes", "no", "both", "other"], 2, 1, 1),
        ([], None, None, None),
    ],
)
def test_stances(labels, bits, apart, sides):
    assert judged.stance_measures(labels) == {
        "stance_entropy": pytest.approx(bits) if bits is not None else None,
        "stance_disagreement": pytest.approx(apart) if apart is not None else None,
        "stance_both_sides": sides,
    }


@given(LABELS, st.permutations(range(6)))
def test_stance_bounds_and_order(labels, order):
    again = [labels[i] for i in order if i < len(labels)]
    assert (
        judged.entropy(labels) == pytest.approx(judged.entropy(again))
        and 0 <= judged.entropy(labels) <= 2 + 1e-12
    )
    assert judged.disagreement(labels) == judged.disagreement(again)


@pytest.mark.parametrize(
    ("base", "aligned", "covered"),
    [
        (["yes", "no"], "both", 1),
        (["yes", "no"], "yes", 0.5),
        (["both"], "no", 0.5),
        (["yes", "other"], "other", 0),
        (["other"], "yes", None),
        (["yes"], "no", 0),
        ([], "yes", None),
    ],
)
def test_stance_coverage(base, aligned, covered):
    assert judged.coverage(base, aligned) == covered


def test_lexical_coverage():
    assert (
        lexical_coverage("the cat sat", "a cat the") == 2 / 3
        and lexical_coverage("```", "x") is None
    )
    assert lexical_coverage("cat", "") == 0


def test_controls_of_coverage():
    """Planted: the aligned answer covers everything, its first words nothing, another prompt's
    aligned answer nothing."""
    base, aligned = ["a b", "c d", "\n```"], "x y a b c d"
    cases_read = cases(base, aligned, "u v w")
    assert [c.answer for c in cases_read] == ["a b", "c d"], "an answer without words is dropped"
    covered = {
        k: [lexical_coverage(c.answer, c.cover[k]) for c in cases_read] for k in cases_read[0].cover
    }
    assert covered == {"": [1, 1], "matched": [0, 0], "other_prompt": [0, 0], "base": [0, 0]}
    assert cases(["a b", "b a a"], "one", None)[0].cover == {
        "": "one",
        "matched": "one",
        "base": "b",
    }


def test_semantic_coverage():
    own = np.array([[1.0, 0], [0, 1]])
    assert (
        semantic_coverage(own, np.array([[2.0, 0.1]]), 0.7) == 0.5
        and semantic_coverage(own, own, 0.99) == 1
    )
    assert (
        semantic_coverage(own, np.zeros((0, 2)), 0.5) == 0
        and semantic_coverage(np.zeros((0, 2)), own, 0.5) is None
    )
    cases_read = sentence_cases(
        ["One here. Two there.", "Three."], "First of all. Second of all. Third.", None
    )
    assert cases_read[0]["answer"] == ["One here.", "Two there."] and cases_read[0]["matched"] == [
        "First of all."
    ]
    assert cases_read[1]["matched"] == ["First of all."], "at least one sentence"
    assert cases_read[0]["base"] == ["Three."]


def test_what_is_new():
    shares = score_shares([[1, 2], [5.0]])
    assert shares["novelty"][0].tolist() == [3, 5] and shares["novelty"][1].tolist() == [2, 1]
    assert shares["novelty_5"][0].tolist() == [0, 1] and shares["novelty_1"][0].tolist() == [1, 0]
    planted = [[[Topic("A", 5), Topic("B", 1)], [Topic("both", 4), Topic("B", None)]]]
    plain, weighted = topic_shares(planted, weighted=False), topic_shares(planted, weighted=True)
    assert plain["topics_B"] == (np.array([2.0]), np.array([4.0])) and weighted[
        "topics_B_by_helpfulness"
    ][0] == [1]
    assert weighted["topics_A_by_helpfulness"][1] == [10]
    assert mean_helpfulness(planted)["topic_helpfulness_B"][1] == [1], (
        "a topic without helpfulness has no part in its mean"
    )


def test_stored_judgements(tmp_path):
    path = tmp_path / "judged.jsonl"
    path.write_text(
        '{"prompt_id": "a", "sample_id": 0, "helpfulness": 4}\n'
        '{"prompt_id": 3, "sample_id": 1, "content": "{\\"help"}\n'
    )
    judgements = read_judgements(path, aspect("helpfulness"))
    assert judgements.values == {
        "a": {0: 4},
        "3": {1: None},
    } and "1 of 2 judge outputs gave no verdict" in words.no_verdict_note(judgements.facts())
    with pytest.raises(InputError, match="no verdict of this kind in 2 rows"):
        read_judgements(path, stance_of)
    path.write_text('{"prompt_id": "a", "sample_id": 0, "score": 4}\n' * 2)
    with pytest.raises(InputError, match="judges sample 0 of prompt 'a' twice"):
        read_judgements(path, novelty)
    path.write_text('{"prompt_id": "a", "score": 4}\n')
    with pytest.raises(InputError, match=r'judged.jsonl line 1 has nothing as "sample_id"'):
        read_judgements(path, novelty)
