"""Reading study folders: what may be missing, and what is refused with a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from made_up_figures import figures
from veneer.foundation.errors import InputError
from veneer.foundation.results import Measurement, Results
from veneer.report import render, write_report
from veneer.report.load import load


def folder_with(tmp_path: Path, **files: str) -> Path:
    Results(figures()).write(tmp_path / "results.jsonl")
    for name, text in files.items():
        (tmp_path / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return tmp_path


def test_only_results_are_needed(tmp_path):
    page = render([folder_with(tmp_path)])
    assert "no run.json" in page
    assert 'data-mount="browser"' not in page.split("<script>")[0]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("results.jsonl", "", "no rows"),
        ("results.jsonl", "not JSON\n", "line 1"),
        ("results.jsonl", '{"study": "x"}\n', "line 1"),
        (
            "results.jsonl",
            '{"study":"x","task":"t","metric":"m","system":"s","value":NaN,"n":1}\n',
            "finite",
        ),
        (
            "results.jsonl",
            '{"study":"x","task":"t","metric":"m","system":"s","value":"3","n":1}\n',
            "finite",
        ),
        (
            "results.jsonl",
            '{"study":null,"task":"t","metric":"m","system":"s","value":3,"n":1}\n',
            "study None",
        ),
        *(
            (
                "results.jsonl",
                '{"study":"x","task":"t","metric":"m","system":"s","value":1,"n":1,'
                + field
                + "}\n",
                name,
            )
            for field, name in (
                ('"n":1.5', "n 1.5"),
                ('"position":[1]', "position"),
                ('"position":3', "position"),
                ('"note":3', "note"),
                ('"facts":[]', "facts"),
                ('"system_id":{"kind":3}', "system_id"),
            )
        ),
        (
            "results.jsonl",
            '{"study":"x","task":"t","metric":"m","system":"s","value":1,"n":1}\n' * 2,
            "key",
        ),
        ("run.json", "{", "run.json"),
        ("run.json", "[" * 100_000, "run.json"),
        ("shifts.jsonl", "3\n", "line 1"),
        ("shifts.jsonl", '{"base": "a", "veneer": "b", "aligned": null}\n', "aligned"),
        (
            "shifts.jsonl",
            '{"base": "a", "veneer": "b", "aligned": "c", "count": "many"}\n',
            "count",
        ),
        ("tokens.jsonl", '\n{"system": "base", "tokens": "no list"}\n', "line 2"),
        ("tokens.jsonl", '{"tokens": []}\n', "system"),
        ("tokens.jsonl", "{]\n", "not valid JSON"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(tmp_path, name, text, sentence):
    folder = folder_with(tmp_path)
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        write_report([folder], folder / "report.html")
    message = str(error.value)
    assert sentence in message and name in message and "expected" in message and "\n" not in message
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("[]", "it is no object"),
        ('{"study":"x","task":"t","metric":"m","system":"s","value":1}', "it has no n"),
        ('{"study":"x","task":"t","metric":"m","system":"s","value":1,"n":1,"x":1}', "field 'x'"),
    ],
)
def test_a_row_that_is_no_measurement_is_named_in_words(tmp_path, row, message):
    (tmp_path / "results.jsonl").write_text(row + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=message) as error:
        render([tmp_path])
    assert "__init__" not in str(error.value)


def test_byte_order_marks_are_no_part_of_a_row(tmp_path):
    folder = folder_with(tmp_path)
    row = '{"base": "a", "veneer": "b", "aligned": "c"}\n'
    (folder / "shifts.jsonl").write_text("\ufeff" + row, encoding="utf-8")
    assert "c" in render([folder])


def test_studies_of_one_name_are_distinguished(tmp_path):
    folders = [tmp_path / "a" / "runs" / "one", tmp_path / "b" / "runs" / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir(parents=True)
        folder_with(folder)
    page = render(folders)
    assert "<title>Veneer: a/runs/one, b/runs/one, two</title>" in page
    assert "<title>Veneer: one, two</title>" in render(folders[1:])
    with pytest.raises(InputError, match="is given twice"):
        render([folders[2], folders[2]])


def test_a_folder_without_results(tmp_path):
    with pytest.raises(InputError, match=r"has no results\.jsonl; expected a study folder"):
        render([tmp_path])
    with pytest.raises(InputError, match="is not a folder"):
        render([tmp_path / "nowhere"])
    with pytest.raises(InputError, match="no folder"):
        render([])


def test_results_that_are_not_utf8(tmp_path):
    (tmp_path / "results.jsonl").write_bytes(b'{"study": "\xff"}\n')
    with pytest.raises(InputError, match=r"results\.jsonl"):
        render([tmp_path])


def test_token_rows_may_lack_figures(tmp_path):
    rows = [
        {
            "system": "base",
            "tokens": ["a", "b"],
            "kl_base": [1.0],
            "shift": ["odd", "shifted"],
            "top": {"base": [[["a", 1]]]},
        },
        {"system": "veneer", "text": "only text", "prompt": None},
        {
            "system": "aligned",
            "tokens": ["x"],
            "kl_base": [None],
            "kl_veneer": ["much"],
            "top": [1, 2],
        },
    ]
    study = load(folder_with(tmp_path, tokens_jsonl="".join(json.dumps(r) + "\n" for r in rows)))
    first, second, third = study.responses
    assert (
        first.kl == {"base": (1.0, None), "veneer": (None, None)}
        and first.yardstick == "aligned"
        and first.shift == (None, "shifted")
    )
    assert first.top[0] == ((("a", 1.0),), (), ()) and first.top[1] == ((), (), ())
    assert second.text == "only text" and second.tokens == ()
    assert third.kl["base"] == (None,) and third.top == (None,)
    assert 'data-mount="browser"' in render([tmp_path])


def test_bytes_that_are_not_utf8_are_replaced_in_tokens(tmp_path):
    folder = folder_with(tmp_path)
    (folder / "tokens.jsonl").write_bytes(b'{"system": "base", "tokens": ["\xff"]}\n')
    assert load(folder).responses[0].tokens == ("\ufffd",)


def test_a_line_separator_inside_a_token_does_not_cut_the_line(tmp_path):
    row = json.dumps(
        {"base": "a\u2028b", "veneer": "x", "aligned": "x", "count": 1}, ensure_ascii=False
    )
    shift = load(folder_with(tmp_path, shifts_jsonl=row + "\n")).shifts[0]
    assert shift.base == "a\u2028b" and shift.restored


def test_run_json_of_any_shape(tmp_path):
    for value in (
        [],
        [1, {"a": []}],
        "text",
        None,
        {"base": {"nested": 3}},
        {"x": {"base": 1}},
        {"": {"": ""}},
    ):
        assert "</html>" in render([folder_with(tmp_path, run_json=json.dumps(value))])


def test_rows_without_intervals_systems_or_values(tmp_path):
    Results(
        [
            Measurement("measure", "t", "portion", "veneer", 7.5, 3, of="accuracy"),
            Measurement("measure", "t", "portion", "shuffled", -9.0, 3, of="accuracy"),
            Measurement("measure", "u", "portion", "veneer", None, 3, of="accuracy", note=None),
            Measurement("extract", "joint", "kl", "base", 0.0, 3),
            Measurement("extract", "joint", "kl", "veneer", None, 3),
            Measurement("position", "joint", "kl", "veneer", 0.0, 3, position=(1, 1)),
            Measurement("position", "joint", "entropy", "veneer", 1.0, 3, position=(1, 1)),
            Measurement("shift", "joint", "shifted_rate", "base", None, 0),
        ]
    ).write(tmp_path / "results.jsonl")
    page = render([tmp_path])
    assert "7.50" in page and "entropy" in page and "not defined" in page
