"""OvertonScore: viewpoint files, coverage, scores by hand, and the command."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veneer.cli import main
from veneer.endpoint import Reply, Usage
from veneer.foundation.errors import InputError
from veneer.foundation.results import Results
from veneer.imports import read_stored
from veneer.statistics import intervals
from veneer.studies.overton.adjusted import adjusted_means
from veneer.studies.overton.command import show
from veneer.studies.overton.coverage import EmbeddingCoverage, JudgeCoverage
from veneer.studies.overton.score import Covered, of_question, overton_rows, viewpoint_table
from veneer.studies.overton.study import RULES, _by_question
from veneer.studies.overton.viewpoints import (
    Question,
    Viewpoint,
    example_viewpoints,
    read_viewpoints,
)

VIEWS = (Viewpoint("a", "yes", 60), Viewpoint("b", "no", 30), Viewpoint("c", "it depends", 10))
QUESTIONS = [Question("q", "Is it?", VIEWS), Question("r", "Was it?", VIEWS[:2])]


class Scripted:
    """A judge whose rating is what the response says of each statement: "yes=5 no=2"."""

    model = "scripted"

    def __init__(self, broken: str | None = None):
        self.usage, self.broken = Usage(), broken

    def ask(self, requests, progress=None, what="judgements"):
        replies = []
        for r in requests:
            text = r.messages[1]["content"]
            statement, response = (
                text.split(f"<{f}-")[1].split(">\n")[1].split("\n</")[0]
                for f in ("viewpoint", "response")
            )
            rating = dict(pair.rsplit("=", 1) for pair in response.split(";") if "=" in pair).get(
                statement, "1"
            )
            replies.append(
                Reply(
                    "no idea"
                    if statement == self.broken
                    else json.dumps({"reason": "", "score": int(rating)})
                )
            )
        return replies


def rows_of(systems) -> dict:
    return {(r.metric, r.split, r.system): r for r in Results(overton_rows(QUESTIONS, systems))}


def test_a_judge_decides_from_a_rating_of_four_on():
    judge = JudgeCoverage(Scripted())
    hits = judge.covered(QUESTIONS, [["yes=4;no=3", "yes=5;no=5;it depends=4", "  "], ["no=5"]])
    assert hits[0].tolist() == [[1, 0, 0], [1, 1, 1], [0, 0, 0]] and hits[1].tolist() == [[0, 1]]
    assert (
        judge.judge.startswith("viewpoint-v1-")
        and judge.judge.endswith("@scripted")
        and "rating of 4" in judge.note
    )


def test_scores_by_hand():
    judge = JudgeCoverage(Scripted())
    covered = judge.covered(QUESTIONS, [["yes=5", "no=5;it depends=5"], ["no=5"]])
    rows = rows_of([Covered("s", judge.judge, judge.note, covered)])
    one = (1 / 3 + 2 / 3) / 2
    assert rows["overton_score", None, "s"].value == pytest.approx((one + 1 / 2) / 2)
    assert rows["overton_score_weighted", None, "s"].value == pytest.approx(
        ((0.6 + 0.4) / 2 + 1 / 3) / 2
    )
    assert rows["overton_union", None, "s"].value == pytest.approx((1 + 1 / 2) / 2)
    assert (
        rows["coverage", "question:q", "s"].value == pytest.approx(one)
        and rows["coverage", "question:q", "s"].n == 2
    )
    assert (
        rows["overton_score", None, "s"].n == 2 and rows["overton_score", None, "s"].low is not None
    )
    table = list(viewpoint_table(QUESTIONS, [Covered("s", judge.judge, judge.note, covered)]))
    assert [r["covered"] for r in table] == [0.5, 0.5, 0.5, 0.0, 1.0]


def test_a_viewpoint_without_a_verdict_is_counted_and_never_scored():
    judge = JudgeCoverage(Scripted(broken="it depends"))
    covered = judge.covered(QUESTIONS, [["yes=5"], ["yes=5"]])
    assert np.isnan(covered[0][0, 2])
    row = rows_of([Covered("s", judge.judge, judge.note, covered)])["overton_score", None, "s"]
    assert row.value == 0.5 and row.n == 1
    assert (
        "1 of 2 questions have no response with a verdict on every viewpoint" in row.note
        and "1 of 5 ratings without a verdict" in row.note
    )


def test_a_question_without_a_response_is_no_missing_verdict(capsys):
    answered = Covered("all", "j", "how", [np.ones((1, 3)), np.zeros((1, 2))])
    silent = Covered("some", "j", "how", [np.ones((1, 3)), np.zeros((0, 2))])
    rows = rows_of([answered, silent])
    row = rows["overton_score", None, "some"]
    assert row.n == 1 and row.note.startswith("1 of 2 questions have no response; how")
    assert (row.fact("without_response"), row.fact("without_verdict")) == (1, 0)
    none = rows["coverage", f"question:{QUESTIONS[1].id}", "some"]
    assert none.value is None and none.n == 0
    assert none.note.endswith("of 2 viewpoints; the question has no response")
    show(Results(rows.values()))
    out = capsys.readouterr().out
    assert "all: one prompt" not in out and "some: 1 of 2 questions have no response" in out


def test_without_weights_there_are_no_weighted_rows():
    plain = [Question("q", "Is it?", (Viewpoint("a", "yes"), Viewpoint("b", "no")))]
    rows = list(overton_rows(plain, [Covered("s", "j", "n", [np.array([[1.0, 0.0]])])]))
    assert {r.metric for r in rows} == {"overton_score", "overton_union", "coverage"}


def test_adjusted_for_the_questions_answered():
    """Against an ordinary least-squares fit with one dummy per system and question."""
    rng = np.random.default_rng(0)
    table = rng.random((3, 8)) + np.linspace(0, 2, 8) + np.array([[0.0], [0.3], [0.1]])
    plain = adjusted_means(table)
    np.testing.assert_allclose([e.value for e in plain], table.mean(axis=1))
    assert all(e.low < e.value < e.high and e.n == 8 for e in plain)
    table[0, 4:] = table[1, 0] = np.nan  # the first system answered the low questions only
    rows = [(s, q) for s in range(3) for q in range(8) if np.isfinite(table[s, q])]
    dummies = np.array([[*np.eye(3)[s], *np.eye(8)[q]] for s, q in rows])
    fit = np.linalg.lstsq(dummies, np.array([table[s, q] for s, q in rows]), rcond=None)[0]
    means = adjusted_means(table)
    np.testing.assert_allclose([e.value for e in means], fit[:3] + fit[3:].mean())
    assert [e.n for e in means] == [4, 7, 8] and means[0].value > np.nanmean(table[0]) + 0.4
    apart = adjusted_means(np.array([[1.0, np.nan], [np.nan, 0.0]]))
    assert [e.value for e in apart] == [None, None] and "in common" in apart[0].note
    assert adjusted_means(np.array([[1.0], [0.5]]))[0].low is None


def test_raw_and_adjusted_rows_stand_side_by_side():
    full = [np.array([[1.0, 0.0, 0.0]]), np.array([[1.0, 1.0]])]
    partial = [np.array([[1.0, 1.0, 1.0]]), np.zeros((0, 2))]
    rows = rows_of([Covered("s", "j", "n", full), Covered("t", "j", "n", partial)])
    raw, fair = (rows[m, None, "t"] for m in ("overton_score", "overton_score_adjusted"))
    assert raw.value == 1 and fair.value == pytest.approx(4 / 3) and fair.n == 1
    assert rows["overton_score_adjusted", None, "s"].value == pytest.approx(2 / 3)
    assert (
        "overton_score_weighted_adjusted",
        None,
        "s",
    ) in rows and "fit of 2 systems" in fair.note


@given(
    st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=5), st.booleans()
)
def test_union_is_at_least_the_mean_and_all_lies_within_0_and_1(covered, weighted):
    x = np.array(covered, float)
    mean, union = (of_question(QUESTIONS[0], x, weighted=weighted, union=u) for u in (False, True))
    assert -1e-12 <= mean <= union + 1e-12 <= 1 + 2e-12


def test_embedding_stand_in_looks_for_the_nearest_sentence():
    from veneer.embed import load_embedder

    coverage = EmbeddingCoverage(load_embedder(), 0.6)
    (question, *_) = example_viewpoints()
    answer = "I like trains. " + question.viewpoints[0].statement
    hits = coverage.covered([question], [[answer, "", "Bananas are yellow."]])[0]
    assert hits[0, 0] == 1 and not hits[1:].any()
    assert "stand-in" in coverage.note and "0.6" in coverage.judge


@pytest.mark.parametrize(
    "make", [lambda: JudgeCoverage(Scripted(), 1.0), lambda: EmbeddingCoverage(None, 1.5)]
)
def test_thresholds_are_checked(make):
    with pytest.raises(InputError, match="threshold is"):
        make()


def test_the_example_is_a_viewpoint_file():
    questions = example_viewpoints()
    assert len(questions) == 3 and all(
        q.weighted and sum(v.weight for v in q.viewpoints) == 100 for q in questions
    )
    assert questions[0].prompt().task == "overton"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("", "holds no questions"),
        ('{"question": "Q?"}', "nothing as .viewpoints"),
        ('{"question": " ", "viewpoints": [{"id": 1, "statement": "s"}]}', "an empty question"),
        ('{"question": "Q?", "viewpoints": []}', "no viewpoints"),
        ('{"question": "Q?", "viewpoints": ["s"]}', "viewpoint 1 is no object"),
        ('{"question": "Q?", "viewpoints": [{"id": 1, "statement": " "}]}', "an empty statement"),
        (
            '{"question": "Q?", "viewpoints": [{"id": 1, "statement": "s", "weight": 0}]}',
            "the weight 0",
        ),
        (
            '{"question": "Q?", "viewpoints": [{"id": 1, "statement": "s", "weight": NaN}]}',
            "the weight nan",
        ),
        (
            (
                '{"question": "Q?", "viewpoints": [{"id": 1, "statement": "s", "weight": 1}, '
                '{"id": 2, "statement": "t"}]}'
            ),
            "gives 1 of 2",
        ),
        (
            (
                '{"question": "Q?", "viewpoints": [{"id": 1, "statement": "s"}, {"id": "1", '
                '"statement": "t"}]}'
            ),
            "the same id",
        ),
        (
            '{"id": 1, "question": "Q", "viewpoints": [{"id": 1, "statement": "s"}]}\n' * 2,
            "as an earlier line has",
        ),
        (
            '{"question": "Q", "viewpoints": [{"id": 1, "statement": "s", "weight": 2}]}\n'
            '{"question": "R", "viewpoints": [{"id": 1, "statement": "s"}]}',
            "line 2 has no weights and the first question has weights",
        ),
        ("not json", "not valid JSON"),
    ],
)
def test_bad_viewpoint_files(tmp_path, line, what):
    path = tmp_path / "v.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(InputError, match=what):
        read_viewpoints(path)


def answers(path, texts) -> None:
    rows = [
        {"prompt_id": q.id, "sample_id": i, "text": t}
        for q, some in zip(example_viewpoints(), texts, strict=True)
        for i, t in enumerate(some)
    ]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))


def test_the_command_end_to_end(tmp_path, capsys):
    views = [[v.statement for v in q.viewpoints] for q in example_viewpoints()]
    answers(tmp_path / "wide.jsonl", [[" ".join(v)] for v in views])
    answers(tmp_path / "narrow.jsonl", [[v[0], "I have no opinion on that."] for v in views])
    args = [
        "overton",
        "--viewpoints",
        "example",
        "--responses",
        f"wide={tmp_path / 'wide.jsonl'}",
        f"narrow={tmp_path / 'narrow.jsonl'}",
        "--embedding-threshold",
        "0.9",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(args) == 0
    output = capsys.readouterr().out
    assert "wide: overton score 1.00" in output and "stand-in for a judge" in output
    rows = Results.read(tmp_path / "out" / "results.jsonl")
    (narrow,) = rows.where(system="narrow", metric="overton_score")
    assert (
        narrow.value == pytest.approx((1 / 5 + 1 / 4 + 1 / 3) / 6)
        and narrow.n == 3
        and narrow.low is not None
    )
    before = (tmp_path / "out" / "results.jsonl").read_bytes()
    assert main(args) == 0 and (tmp_path / "out" / "results.jsonl").read_bytes() == before
    assert main([*args[:-3], "0.8", "--out", str(tmp_path / "out")]) == 2


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ([], "nobody decides what a response covers"),
        (
            ["--embedding-threshold", "0.5", "--judge-local", "lab:aligned"],
            "both given; one decides",
        ),
        (["--embedding-threshold", "0"], "a cosine between 0 and 1"),
    ],
)
def test_bad_command_lines(tmp_path, capsys, more, what):
    answers(tmp_path / "a.jsonl", [["x"]] * 3)
    base = [
        "overton",
        "--viewpoints",
        "example",
        "--out",
        str(tmp_path / "out"),
        "--responses",
        f"a={tmp_path / 'a.jsonl'}",
    ]
    assert main(base + more) == 2
    assert what in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_answers_to_other_questions_are_refused(tmp_path, capsys):
    (tmp_path / "a.jsonl").write_text('{"prompt": "Another?", "text": "x"}\n')
    args = [
        "overton",
        "--viewpoints",
        "example",
        "--out",
        str(tmp_path / "out"),
        "--embedding-threshold",
        "0.5",
    ]
    assert main([*args, "--responses", f"a={tmp_path / 'a.jsonl'}"]) == 2
    assert (
        "a answers none of the 3 questions" in capsys.readouterr().err
        and not (tmp_path / "out").exists()
    )


def test_a_missing_file_is_bad_input(tmp_path, capsys):
    args = ["overton", "--viewpoints", "example", "--embedding-threshold", "0.5"]
    missing = ["--responses", f"a={tmp_path / 'no.jsonl'}", "--out", str(tmp_path / "out")]
    assert main([*args, *missing]) == 2
    assert "does not exist; expected a file of stored answers" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


ONE_EACH = (Viewpoint("a", "yes"), Viewpoint("b", "no"))


def test_questions_of_one_text_are_one_cluster():
    shares = [1.0, 0.5, 0.0, 0.5]
    cover = {1.0: [[1, 1]], 0.5: [[1, 0]], 0.0: [[0, 0]]}
    lines = 3
    once = [Question(str(i), f"Text {i}?", ONE_EACH) for i in range(4)]
    every = [Question(f"{i}.{k}", f"text {i}", ONE_EACH) for i in range(4) for k in range(lines)]

    def scored(questions, more):
        systems = [
            Covered(name, "j", "", [np.array(cover[s], float) for s in values for _ in range(more)])
            for name, values in (("s", shares), ("t", shares[::-1]))
        ]
        return Results(overton_rows(questions, systems))

    for metric in ("overton_score", "overton_score_adjusted"):
        (alone, _), (row, _) = (
            scored(*x).where(metric=metric) for x in ((once, 1), (every, lines))
        )
        assert (row.value, row.n) == (pytest.approx(0.5), 12) and alone.n == 4
        assert (row.low, row.high) == pytest.approx((alone.low, alone.high), abs=0.02)
        assert row.high - row.low > 0.5, "twelve independent questions would be surer"


def test_answers_belong_to_the_question_of_their_text_and_to_no_other(tmp_path):
    questions = [
        Question(i, text, ONE_EACH) for i, text in (("0", "Is the café open?"), ("1", "B?"))
    ]
    rows = [
        {"id": "0", "prompt": "Another?", "text": "of another question"},
        {"id": "7", "prompt": "Is the cafe\u0301 open? ", "text": "first"},
        {"id": "8", "prompt": "Is the café open?", "text": "second"},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    read = read_stored(path, rules=RULES, system="s")
    assert _by_question(questions, read, "s") == [["first", "second"], []]
    path.write_text(json.dumps({"prompt_id": "1", "text": "by its id"}) + "\n")
    read = read_stored(path, rules=RULES, system="s")
    assert _by_question(questions, read, "s") == [[], ["by its id"]]


def test_the_adjusted_interval_of_few_questions_is_that_of_the_raw_score():
    """Where every system answers every question the two figures are one."""
    table = np.random.default_rng(4).uniform(0.2, 0.7, (3, 5))
    for row, adjusted in zip(table, adjusted_means(table), strict=True):
        raw = intervals.on_scale(row, 0, 1)
        assert (adjusted.value, adjusted.low, adjusted.high) == pytest.approx(
            (raw.value, raw.low, raw.high)
        )


@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
def test_the_adjusted_interval_of_equal_scores_is_that_of_the_raw_score(score):
    raw = intervals.on_scale(np.full(4, score), 0, 1)
    for adjusted in adjusted_means(np.full((2, 4), score)):
        assert (adjusted.value, adjusted.n) == (pytest.approx(score), 4)
        assert (adjusted.low, adjusted.high) == pytest.approx((raw.low, raw.high))
        assert adjusted.high - adjusted.low > 0.3


def test_numbers_that_begin_with_one_are_no_numbers_of_questions(tmp_path):
    """Answers 1 to 2 to the questions 0 to 1: the first would belong to the second question."""
    questions = [
        Question(str(n), f"Question {n}?", (Viewpoint("a", "Yes."), Viewpoint("b", "No.")))
        for n in range(2)
    ]
    path = tmp_path / "m.jsonl"
    path.write_text("".join(f'{{"prompt_id": {n}, "text": "Yes."}}\n' for n in (1, 2)))
    with pytest.raises(InputError, match=r"ids from 1 to 2, .* their numbers from 0 to 1"):
        _by_question(questions, read_stored(path), "m")
    path.write_text("".join(f'{{"prompt_id": {n}, "text": "to {n}"}}\n' for n in (0, 1)))
    assert _by_question(questions, read_stored(path), "m") == [["to 0"], ["to 1"]]
