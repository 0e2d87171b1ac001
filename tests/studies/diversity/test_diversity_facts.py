"""Facts of a diversity study's rows, and the notes that are made from them."""

from __future__ import annotations

from veneer.studies.diversity import words
from veneer.studies.diversity.answers_table import Judgements, Material
from veneer.studies.diversity.rows_cross import coverage_rows
from veneer.studies.diversity.rows_judged import filter_rows

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
