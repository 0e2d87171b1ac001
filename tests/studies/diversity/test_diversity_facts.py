"""Facts of a diversity study's rows, and the notes that are made from them."""

from __future__ import annotations

import pytest

from veneer.studies.diversity import words
from veneer.studies.diversity.answers_table import Judgements, Material
from veneer.studies.diversity.judged import Topic
from veneer.studies.diversity.rows_cross import coverage_rows, decomposition_rows
from veneer.studies.diversity.rows_judged import (
    filter_rows,
    new_rows,
    quality_rows,
    stance_filter_rows,
)

ANSWERS = {
    "base": {f"p{i}": {0: f"red fox {i}", 1: "blue sky", 2: f"old tree {i}"} for i in range(3)},
    "aligned": {f"p{i}": {0: f"a red fox {i} runs", 1: "a sky"} for i in range(3)},
}


def test_coverage_says_as_data_what_covers_what():
    rows = list(coverage_rows(Material("t", ANSWERS)))
    plain = next(r for r in rows if r.metric == "lexical_coverage" and r.split is None)
    expected = {"answers": 9, "covered": "base", "by": "aligned", "control": None}
    assert expected.items() <= plain.facts.items()
    assert plain.note == "9 answers of base, by sample 0 of aligned"
    assert all(
        r.fact("control") == r.split and r.note == words.coverage_note(r.facts) for r in rows
    )


def test_the_filter_says_as_data_how_many_answers_reach_the_threshold():
    scores = {p: {0: 5.0, 1: 2.0, 2: 5.0} for p in ANSWERS["base"]}
    material = Material("t", ANSWERS, {"base": Judgements(scores, "judge")})
    rows = list(filter_rows(material, None, None))
    kept = next(r for r in rows if r.metric == "kept")
    expected = {"threshold": 5.0, "kept": 6, "judged": 9}
    assert expected.items() <= kept.facts.items()
    assert kept.note == "6 of 9 answers" and all(r.fact("threshold") == 5.0 for r in rows)


def by(rows, **wanted):
    (row,) = (r for r in rows if all(getattr(r, k) == v for k, v in wanted.items()))
    return row


def test_a_chosen_aspect_names_every_row():
    scores = {p: {0: 5.0, 1: 2.0, 2: 5.0} for p in ANSWERS["base"]}
    material = Material("t", ANSWERS, {"base": Judgements(scores, "judge")}, aspect="depth")
    rows = [*quality_rows(material), *filter_rows(material, None, None)]
    rows += decomposition_rows(material, threshold=5.0)
    assert {r.metric for r in rows if r.split is None} == {"depth"}
    assert {r.split for r in rows if r.split} == {"depth>=5"}
    assert not any("helpful" in str(r.to_json()) for r in rows)


def test_stances_after_the_quality_filter():
    stances = {
        "a": {0: "yes", 1: "no", 2: "yes", 3: "yes"},  # kept: yes, yes
        "b": {0: "both", 1: "no", 2: "no", 3: None},  # kept: both, no
        "c": {0: "yes", 1: "no", 2: "no", 3: "no"},  # keeps one
    }
    quality = {
        "a": {0: 4.0, 1: 1.0, 2: 5.0, 3: None},
        "b": {0: 4.0, 1: 4.0, 2: 1.0, 3: 5.0},
        "c": {0: 4.0, 1: 1.0, 2: 1.0, 3: 1.0},
    }
    material = Material("t", {"base": {}})
    material.quality["base"] = Judgements(quality, "q")
    material.stance["base"] = Judgements(stances, "s")
    rows = list(stance_filter_rows(material))
    kept = by(rows, metric="stance_disagreement", split="helpfulness>=4")
    assert kept.value == pytest.approx((0 + 1) / 2) and kept.n == 2 and kept.judge == "s + q"
    whole = by(rows, metric="stance_disagreement_unfiltered", split="helpfulness>=4")
    assert whole.value == pytest.approx((3 / 6 + 2 / 3) / 2)
    effect = by(rows, metric="stance_disagreement_quality_effect", split="helpfulness>=4")
    assert effect.value == pytest.approx(whole.value - kept.value)
    assert by(rows, metric="stance_entropy", split="helpfulness>=4").value == pytest.approx(0.5)
    none = by(rows, metric="stance_entropy", split="helpfulness>=5")
    assert none.value is None and none.note.startswith("no prompt keeps two answers")


def test_novelty_by_quality():
    novelty = {p: {0: 5.0, 1: 1.0, 2: 3.0} for p in ("a", "b")}
    quality = {"a": {0: 1.0, 1: 4.0, 2: 4.5}, "b": {0: 1.0, 1: 4.0, 2: None}}
    material = Material("t", {})
    material.novelty["aligned", "base"] = Judgements(novelty, "n")
    rows = list(new_rows(material))
    assert {r.split for r in rows} == {"against aligned"}, "without quality there is no more"
    material.quality["base"] = Judgements(quality, "q")
    rows = list(new_rows(material))
    weak = by(rows, metric="novelty", split="against aligned, helpfulness=1")
    good = by(rows, metric="novelty", split="against aligned, helpfulness=4")
    assert weak.value == 5 and good.value == pytest.approx((1 + 3 + 1) / 3)
    assert good.judge == "n + q" and good.fact("score") == 4 and good.fact("answers") == 3
    assert by(rows, metric="novelty_1", split=good.split).value == pytest.approx(2 / 3)
    assert by(rows, metric="novelty", split="against aligned").value == 3


def test_topics_that_the_other_side_has_too():
    topics = [Topic("A", 5), Topic("A", 1), Topic("both", 4), Topic("B", None), Topic("B", 2)]
    material = Material("t", {})
    material.topics["aligned", "base"] = Judgements({"a": {0: topics}, "b": {0: topics}}, "j")
    by_metric = {r.metric: r for r in new_rows(material)}
    assert by_metric["topics_of_A_in_both"].value == pytest.approx(1 / 3)
    assert by_metric["topics_of_B_in_both"].value == pytest.approx(1 / 3)
    assert by_metric["topics_of_B_in_both_by_helpfulness"].value == pytest.approx(4 / 6)
    assert by_metric["topics_of_A_in_both"].unit == "share of topics in A"


def test_what_one_own_sample_covers_of_the_others():
    answers = {
        "base": {"p": {0: "red fox", 1: "red dog", 2: "a fox in red", 3: ""}},
        "aligned": {"p": {0: "red dog", 1: "cat"}},
    }
    rows = list(coverage_rows(Material("t", answers)))
    own = by(rows, metric="lexical_coverage", split="own_first")
    assert own.value == pytest.approx((1 / 2 + 2 / 4) / 2) and own.fact("answers") == 2
    assert "sample 0 of base, which covers its other answers" in own.note
    back = by(rows, metric="lexical_coverage_of_aligned", split="own_first")
    assert back.value == 0 and "sample 0 of aligned" in back.note
