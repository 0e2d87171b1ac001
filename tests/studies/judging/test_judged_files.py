"""Files of answers, verdicts and labels that other programs wrote are read as prompt files are."""

from __future__ import annotations

import json

import pytest

from veneer.foundation.errors import InputError
from veneer.imports.teacher import check_answers
from veneer.prompts.prompt import Prompt
from veneer.studies.judging.compare import compare, sides
from veneer.studies.judging.study import matched
from veneer.studies.judging.verdicts import read_verdicts
from veneer.systems.responses import read_responses

ANSWERS = [{"prompt_id": 7, "text": "No."}, {"prompt_id": "8", "text": "Take two; stir."}]
VERDICT = {
    "task": "t",
    "prompt_id": 7,
    "sample_id": 0,
    "system": "s",
    "judge_name": "refusal",
    "judge": "refusal-2",
    "outcome": "judged",
    "metrics": {"refusal_rate": 1.0, "partial_refusal_rate": 0.0},
    "text_sha256": "0",
}


def put(tmp_path, name, content):
    path = tmp_path / name
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", ANSWERS),
        ("a.jsonl", "\n".join(map(json.dumps, ANSWERS))),
        ("a.json", {"data": ANSWERS}),
        ("a.csv", 'sample_id;text;prompt_id\r\n0;No.;7\r\n;"Take two; stir.";8\r\n'),
    ],
)
def test_answers_of_any_kind_of_file(tmp_path, name, content):
    answers = read_responses(put(tmp_path, name, content))
    assert [(r.prompt_id, r.text, r.sample_id, r.system) for r in answers] == [
        ("7", "No.", 0, "a"),
        ("8", "Take two; stir.", 0, "a"),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([], "item 1 is not a response .it is no object"),
        ({"prompt_id": 1}, "it has no text"),
        ({"prompt_id": 1.5, "text": "x"}, "prompt_id is neither a text nor a whole number"),
        ({"prompt_id": True, "text": "x"}, "prompt_id is neither a text nor a whole number"),
        ({"prompt_id": 1, "text": None}, "text is no text"),
        ({"prompt_id": 1, "text": "x", "sample_id": "b"}, "sample_id is no whole number"),
        ({"prompt_id": 1, "text": "x", "note": "y"}, "the unknown key 'note'"),
    ],
)
def test_a_row_that_is_no_answer_is_named(tmp_path, row, reason):
    with pytest.raises(InputError, match=reason):
        read_responses(put(tmp_path, "a.json", [row]))


def test_verdicts_in_an_array_and_under_numbers(tmp_path):
    array = put(tmp_path, "a.json", [VERDICT])
    text = put(tmp_path, "b.jsonl", {**VERDICT, "prompt_id": "7"})
    labels = put(tmp_path, "labels.json", [{"prompt_id": 7, "label": "refusal"}])
    assert read_verdicts(array) == read_verdicts(text)
    for one in (array, labels):
        assert compare(*sides((str(one), str(text))))[0].agreement.table.tolist() == [[1]]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (3, "item 1 is not a verdict .it is no object"),
        ({"prompt_id": 7}, "it has no 'task'"),
        ({**VERDICT, "note": ""}, "the unknown key 'note'"),
        ({**VERDICT, "prompt_id": None}, "prompt_id is neither"),
        ({**VERDICT, "sample_id": "0"}, "sample_id is no whole number"),
        ({**VERDICT, "metrics": {"a": "1"}}, "metrics that are no numbers"),
    ],
)
def test_a_row_that_is_no_verdict_is_named(tmp_path, row, reason):
    with pytest.raises(InputError, match=reason) as error:
        read_verdicts(put(tmp_path, "a.json", [row]))
    assert "VerdictRow" not in str(error.value)


def verdicts_of(tmp_path, *rows):
    text = "".join(json.dumps({**VERDICT, **row}) + "\n" for row in rows)
    return str(put(tmp_path, "verdicts.jsonl", text))


def test_a_table_that_a_spreadsheet_saved(tmp_path):
    judged = verdicts_of(tmp_path, {}, {"prompt_id": "8"})
    labels = "label;;prompt_id\r\nrefusal;;7\r\nanswer;;8\r\n;;\r\n;;\r\n"
    path = put(tmp_path, "human.csv", "\ufeff" + labels)
    table = compare(*sides((str(path), judged)))[0].agreement.table
    assert table.tolist() == [[0, 1], [0, 1]]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("h.csv", "Prompt ID;Label\n7;refusal\n", "line 2 has no prompt_id .*; expected labels"),
        ("h.csv", "prompt_id;label\n", "holds no labels"),
        ("h.csv", "prompt_id;label\n7 ;refusal\n", "found sample 0 of prompt '7 ' in the first and"
         " sample 0 of prompt '7' of task t of system s in the second"),
        ("h.txt", "prompt_id\tlabel\n7\trefusal\n", "is read as lines of text.* ending .csv"),
    ],
)  # fmt: skip
def test_a_table_of_labels_is_refused_as_labels(tmp_path, name, text, reason):
    with pytest.raises(InputError, match=reason):
        compare(*sides((str(put(tmp_path, name, text)), verdicts_of(tmp_path, {}))))


@pytest.mark.parametrize("field", ["task", "system", "sample_id"])
def test_what_a_label_must_add_is_named(tmp_path, field):
    judged = verdicts_of(tmp_path, {}, {field: 1 if field == "sample_id" else "other"})
    labels = put(tmp_path, "h.csv", "prompt_id;label\n7;refusal\n")
    with pytest.raises(InputError, match=f"which differ in {field} .*; add {field} to"):
        sides((str(labels), judged))


def test_a_finished_folder_that_was_copied_in_part(veneer, tmp_path):
    answers = put(tmp_path, "a.json", ANSWERS)
    prompts = put(tmp_path, "p.json", [{"id": i, "prompt": "q"} for i in (7, 8)])
    out = tmp_path / "out"
    words = ("judge", answers, "--prompts", prompts, "--judge", "refusal", "--out", out)
    assert veneer(*words).code == 0
    (out / "report.html").unlink()
    assert veneer(*words).code == 0 and (out / "report.html").is_file()
    for name in ("verdicts.jsonl", "results.jsonl"):
        (out / name).unlink()
        done = veneer(*words)
        assert done.code == 2 and f"a finished run without its {name}; copy" in done.err


def test_a_limit_without_prompts_is_refused(veneer, tmp_path):
    answers = put(tmp_path, "a.json", ANSWERS)
    done = veneer("label", answers, "--out", tmp_path / "l.html", "--limit", 1)
    assert done.code == 2 and "--sample" in done.err and not (tmp_path / "l.html").exists()


def test_answers_counted_from_one_are_not_those_of_prompts_counted_from_zero(tmp_path):
    """With --limit, the answers behind the first prompts are left out without a word."""
    prompts = [Prompt.from_text(str(n), f"Question {n}?") for n in range(3)]
    rows = [{"prompt_id": n, "text": "No."} for n in (1, 2, 3)]
    path = put(tmp_path, "a.json", rows)
    sentence = r"a.json has answers without their prompts, with ids from 1 to 3, .* from 0 to 2"
    with pytest.raises(InputError, match=sentence):
        matched([path], prompts, partly=True)
    with pytest.raises(InputError, match=sentence):
        check_answers(path, prompts)
    named = [Prompt.from_text(str(n), f"Question {n}?") for n in (1, 2, 3)]
    assert [p.id for p, _ in matched([path], named)] == ["1", "2", "3"]
    first = [{"prompt_id": n, "text": "No."} for n in range(4)]  # one prompt was left out
    assert len(matched([put(tmp_path, "b.json", first)], prompts, partly=True)) == 3
