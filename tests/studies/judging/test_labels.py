"""People's labels beside a judge's verdicts, counted by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from veneer.foundation.errors import InputError
from veneer.foundation.files import json_lines, sha256_text
from veneer.statistics.agreement import balanced_accuracy
from veneer.studies.judging.compare import agreement_rows, compare, sides
from veneer.studies.judging.labels import answer_id
from veneer.studies.judging.verdicts import VerdictRow, write_verdicts
from veneer.systems.responses import read_responses

SYSTEMS = ("base", "aligned")


@pytest.fixture
def judged(tmp_path):
    """verdicts.jsonl of 2 systems on 10 prompts: the judge calls aligned's first 6 refusals."""
    rows = [
        VerdictRow("t", f"p{i}", 0, s, "refusal", "refusal-2", "judged",
                   {"refusal_rate": float(s == "aligned" and i < 6), "partial_refusal_rate": 0.0},
                   sha256_text(f"{s} {i}"))
        for s in SYSTEMS for i in range(10)
    ]  # fmt: skip
    write_verdicts(tmp_path / "verdicts.jsonl", rows)
    return tmp_path / "verdicts.jsonl"


def label_of(system, i):
    """People find 8 refusals of aligned and one of base; the last one of base is unclear."""
    if system == "base":
        return {0: "refusal", 9: "unclear"}.get(i, "answer")
    return "refusal" if i < 8 else "answer"


def csv(tmp_path, columns, rows):
    path = tmp_path / "human.csv"
    path.write_text("\n".join([",".join(columns), *(",".join(map(str, r)) for r in rows)]) + "\n")
    return path


def labelled(tmp_path):
    return csv(tmp_path, ("prompt_id", "system", "label"),
               [(f"p{i}", s, label_of(s, i)) for s in SYSTEMS for i in range(10)])  # fmt: skip


def test_a_judge_is_held_against_people(judged, tmp_path, veneer):
    human = labelled(tmp_path)
    first, second = compare(*sides((str(human), str(judged))))
    assert first.metrics == ("refusal_rate", "refusal_rate") and first.without == 1
    # people in rows: 10 answers (10 found), 9 refusals (6 found)
    assert first.agreement.table.tolist() == [[10, 0], [3, 6]]
    assert first.balanced.value == pytest.approx((10 / 10 + 6 / 9) / 2) and first.balanced.n == 10
    assert first.balanced.low < first.balanced.value < first.balanced.high <= 1
    assert second.balanced.value is None and "one label" in second.balanced.note
    rows = {(r.metric, r.of): r for r in agreement_rows([first])}
    row = rows["balanced_accuracy", "refusal_rate"]
    assert row.judge == "people ~ refusal-2" and row.value == first.balanced.value
    other = compare(*sides((str(judged), str(human))))[0]  # the other way round
    assert other.balanced == first.balanced
    shown = veneer("judge", "--compare", human, judged)
    assert shown.code == 0, shown.err
    assert "balanced accuracy on people's labels: 0.833" in shown.out


def test_labels_about_no_judged_answer_are_counted(judged, tmp_path, caplog):
    """A spreadsheet that cut or changed ids would leave a smaller n and no word."""
    rows = [(f"p{i}" if i % 2 else f"P-{i}", "base", label_of("base", i)) for i in range(10)]
    human = csv(tmp_path, ("prompt_id", "system", "label"), rows)
    first, _ = compare(*sides((str(human), str(judged))))
    assert first.agreement.table.sum() <= 5
    assert "5 of 10 labels in" in caplog.text and "line 2 ('P-0')" in caplog.text


def test_labels_by_opaque_id_fit_their_answers(judged, tmp_path):
    path = tmp_path / "labels.jsonl"
    path.write_text(
        json_lines(
            {"answer_id": answer_id(f"p{i}", 0, s), "prompt_id": f"p{i}", "label": label_of(s, i),
             "text_sha256": sha256_text(f"{s} {i}")}
            for s in SYSTEMS for i in range(10)
        )
    )  # fmt: skip
    assert compare(*sides((str(path), str(judged))))[0].agreement.table.tolist() == [
        [10, 0],
        [3, 6],
    ]
    changed = json.loads(path.read_text().splitlines()[0])
    path.write_text(json_lines([{**changed, "text_sha256": sha256_text("another answer")}]))
    with pytest.raises(InputError, match="judged different answers"):
        compare(*sides((str(path), str(judged))))


@pytest.mark.parametrize(
    ("columns", "row", "sentence"),
    [
        (("prompt_id", "label"), ("p1", "refusal"), "fits 2 answers"),
        (("prompt_id", "system", "label"), ("p1", "base", "maybe"), "has the label 'maybe'"),
        (("prompt_id", "system", "label"), ("p1", "base", ""), "has an empty label"),
        (("prompt_id", "sample_id", "label"), ("p1", "x", "1"), "has the sample_id 'x'"),
        (("prompt_id", "system", "label"), ("q", "base", "1"), "share no answer"),
    ],
)
def test_a_label_that_says_too_little_is_refused(judged, tmp_path, columns, row, sentence):
    human = csv(tmp_path, columns, [row])
    with pytest.raises(InputError, match=sentence):
        compare(*sides((str(human), str(judged))))
    with pytest.raises(InputError, match="both labels"):
        sides((str(human), str(human)))


def test_balanced_accuracy_has_the_interval_of_price_and_bonett():
    """One hit and one miss more in each of the two classes: 16 of 22 and 73 of 82."""
    truth, given = [1.0] * 20 + [0.0] * 80, [1.0] * 15 + [0.0] * 5 + [1.0] * 8 + [0.0] * 72
    e, (a, b) = balanced_accuracy(truth, given), (16 / 22, 73 / 82)
    assert e.value == pytest.approx((0.75 + 0.9) / 2) and e.n == 100
    half = 1.959964 * np.sqrt(a * (1 - a) / 22 + b * (1 - b) / 82) / 2
    assert (e.low, e.high) == pytest.approx(((a + b) / 2 - half, (a + b) / 2 + half), rel=1e-6)


def test_plain_lines_are_answers(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"prompt_id": "p1", "text": "Yes."}\n')
    (answer,) = read_responses(path)
    assert (answer.system, answer.sample_id, answer.text) == ("mine", 0, "Yes.")
    path.write_text('{"id": "p1", "output": "Yes."}\n')
    with pytest.raises(InputError, match="veneer import"):
        read_responses(path)


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        (("prompt_id", "label"), ("p1", 2)),
        (("prompt_id", "label", "metric"), ("p1", -1, "harm_rate")),
    ],
)
def test_codes_of_classes_are_no_rates(judged, tmp_path, columns, row):
    """XSTest's files code compliance as 1 and refusal as 2; as a rate, 1 is a refusal."""
    with pytest.raises(InputError, match="which goes from 0 to 1; expected 1 for yes and 0 for no"):
        compare(*sides((str(csv(tmp_path, columns, [row])), str(judged))))


def test_an_incomplete_sheet_is_refused_with_its_empty_rows(judged, tmp_path):
    sheet = csv(tmp_path, ("prompt_id", "label"), [("p1", "refusal"), ("p2", "")])
    with pytest.raises(InputError, match="line 3 has an empty label; fill it in"):
        compare(*sides((str(sheet), str(judged))))


def test_a_label_that_a_person_rejected_is_no_label(judged, tmp_path):
    """Prodigy stores the label that it showed, and whether the person took it."""
    path = tmp_path / "prodigy.jsonl"
    row = {"prompt_id": "p1", "system": "base", "label": "REFUSAL", "_input_hash": 1}
    path.write_text(json_lines([{**row, "answer": "accept"}]))
    (first, _) = compare(*sides((str(path), str(judged))))
    assert first.agreement.table.tolist() == [[0, 0], [1, 0]]
    for answer in ("reject", "ignore"):
        path.write_text(json_lines([{**row, "answer": answer}]))
        with pytest.raises(InputError, match=f"label 'REFUSAL' with \"answer\": '{answer}'"):
            compare(*sides((str(path), str(judged))))


def test_a_column_that_names_several_models_says_whose_answer_it_is(judged, tmp_path):
    rows = [("p1", "base", "answer"), ("p1", "aligned", "refusal")]
    human = csv(tmp_path, ("prompt_id", "model", "label"), rows)
    (first, _) = compare(*sides((str(human), str(judged))))
    assert first.agreement.table.tolist() == [[1, 0], [0, 1]] and first.alone == 18
    human = csv(tmp_path, ("prompt_id", "model", "label"), [*rows[:1], ("p2", "other", "refusal")])
    (first, _) = compare(*sides((str(human), str(judged))))
    assert first.agreement.table.sum() == 1


def test_labels_of_several_people_are_refused(judged, tmp_path):
    rows = [("p1", "base", "answer", "ann"), ("p1", "base", "refusal", "bob")]
    human = csv(tmp_path, ("prompt_id", "system", "label", "annotator"), rows)
    with pytest.raises(InputError, match="two labels of one answer to 'p1' of base; expected one"):
        compare(*sides((str(human), str(judged))))


def test_rows_of_another_tool_are_refused_with_their_keys(judged, tmp_path):
    path = tmp_path / "studio.json"
    path.write_text(json.dumps([{"id": 1, "data": {"prompt_id": "p1"}, "annotations": []}]))
    with pytest.raises(InputError, match=r"not a verdict .* or people's labels, with prompt_id"):
        compare(*sides((str(path), str(judged))))


def test_samples_that_count_from_one_are_refused(tmp_path):
    """Two answers to each prompt: label 1 would be that of the second."""
    rows = [
        VerdictRow("t", p, n, "s", "refusal", "refusal-2", "judged",
                   {"refusal_rate": float(n), "partial_refusal_rate": 0.0}, "0")
        for p in "pq" for n in range(2)
    ]  # fmt: skip
    write_verdicts(tmp_path / "verdicts.jsonl", rows)
    columns = ("prompt_id", "sample_id", "label")
    for start in (0, 1):
        human = csv(tmp_path, columns, [(p, n + start, n) for p in "pq" for n in range(2)])
        both = (str(human), str(tmp_path / "verdicts.jsonl"))
        if start:
            with pytest.raises(InputError, match=r"counts the answers .* from 1 in sample_id"):
                sides(both)
        else:
            assert compare(*sides(both))[0].agreement.table.tolist() == [[2, 0], [0, 2]]
