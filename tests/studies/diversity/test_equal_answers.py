"""Equal answers have no distance: their vectors' rounding once gave an interval of width zero."""

from __future__ import annotations

import numpy as np
import pytest

from veneer.foundation.results import Results
from veneer.statistics import intervals
from veneer.studies.diversity.answers_table import Material
from veneer.studies.diversity.measures import measures, scale
from veneer.studies.diversity.rows_own import measured, own_rows
from veneer.studies.diversity.show import show_diversity
from veneer.studies.diversity.text_measures import cosine_matrix, mean_distance
from veneer.studies.diversity.words import samples_note


def test_equal_vectors_have_distance_zero_and_an_interval_with_a_width():
    rng = np.random.default_rng(0)
    rows = [np.repeat(rng.normal(size=(1, 384)).astype(np.float32), 5, axis=0) for _ in range(50)]
    rows = [r / np.linalg.norm(r, axis=1, keepdims=True) for r in rows]
    distances = [mean_distance(cosine_matrix(r)) for r in rows]
    assert distances == [0.0] * 50
    e = intervals.mean(np.array(distances, float))
    assert e.low == 0 and e.high > 0.01


def test_amounts_that_are_all_1_are_no_rate():
    """Eight prompts with three equal one-word answers each: an effective number of answers lies
    between 1 and 3, and a number of words may be above 1."""
    answers = {f"p{i}": dict.fromkeys(range(3), "Yes") for i in range(8)}
    material = Material("t", {"base": answers})
    rows = {r.metric: r for r in own_rows(material, *measured(material))}
    vendi, words = rows["vendi_lexical_q1"], rows["words"]
    assert (vendi.value, vendi.low) == (1.0, 1.0)
    assert vendi.high == pytest.approx(1 + 2 * 0.3244075649)  # Wilson's limit of 0 of 8
    assert words.value == 1.0 and words.low < 1 < words.high


def test_the_terminal_says_what_each_measure_is(capsys):
    answers = {"base": {f"p{i}": {0: "Yes it is", 1: f"No {i}"} for i in range(8)}}
    material = Material("t", answers)
    rows = Results(own_rows(material, *measured(material)))
    show_diversity(rows)
    lines = capsys.readouterr().out.splitlines()
    for name in ("lexical diversity", "distinct 1", "self bleu", "vendi"):
        assert sum(line.startswith(f"{name}: ") for line in lines) == 1
    assert not [line for line in lines if line.startswith("semantic diversity:")]


def test_shares_of_few_prompts_keep_to_their_scale():
    """Three prompts: the interval of a share ended above 1."""
    values = {"lexical_diversity": [0.6, 0.95, 1.0], "distinct_1": [0.3, 0.99, 1.0]}
    for metric, x in values.items():
        e = intervals.on_scale(x, *scale(metric))
        assert 0 <= e.low < e.value < e.high <= 1
    assert scale("stance_entropy") == scale("semantic_diversity") == (0, 2)
    e = intervals.on_scale([1.0, 1.0, 1.0], *scale("stance_entropy"))  # one bit, not a rate of 1
    assert e.low < 1 < e.high


def test_answers_without_words_have_no_self_bleu():
    figures = measures(["", ""])
    assert figures["self_bleu"] is None and figures["distinct_1"] is None and figures["empty"] == 1
    assert "with words" in samples_note({"prompts": 0, "least_words": 1})
