"""Stored answers as lines and tables, and files that are no such thing."""

from __future__ import annotations

import json

import pytest
from stored_files import answer, put, run_import, texts

from veneer.foundation.errors import InputError
from veneer.foundation.reading import json_values
from veneer.imports import AS_STORED, read_stored
from veneer.imports.registry import guess
from veneer.systems.responses import read_responses


def test_plain_lines(tmp_path):
    path = put(
        tmp_path,
        "mine.jsonl",
        {"prompt": "Q?", "text": "a"},
        {"prompt": "R?", "responses": ["b", "c", None]},
        {"prompt": "Q?", "text": "a"},
        {"prompt_id": "x", "sample_id": 4, "response": "d", "finish_reason": "length"},
        {"prompt_id": "x", "sample_id": 5, "text": "e"},
        {"prompt_id": "x", "sample_id": 5, "text": "e"},
        {"prompt_id": 7, "text": None, "error": "timeout"},
    )
    replies = read_stored(path, system="mine")
    assert texts(replies) == [
        ("0", 0, "a"),
        ("1", 0, "b"),
        ("1", 1, "c"),
        ("0", 1, "a"),
        ("x", 5, "e"),
    ], "equal samples stay"
    assert [p.messages[0]["content"] for p in replies.prompts] == ["Q?", "R?"]
    assert dict(replies.dropped) == {
        "error: no answer": 2,
        "truncated at the token limit": 1,
        "a second answer for the same prompt and sample number": 1,
    }


def test_what_import_writes_is_read_again(open_file, tmp_path, capsys):
    out = tmp_path / "out.jsonl"
    assert run_import(open_file, out, "--system", "base") == 0
    assert "dropped 2: error" in capsys.readouterr().out
    assert [r.text for r in read_responses(out)] == ["One.", "Two"]
    assert (
        texts(read_stored(out)) == [("0", 0, "One."), ("0", 1, "Two")]
        and read_stored(out).responses[0].system == "base"
    )
    assert json.loads((tmp_path / "out.jsonl.prompts.jsonl").read_text()) == {
        "id": "0",
        "prompt": "What now?",
    }
    assert run_import(open_file, out) == 2
    assert (
        capsys.readouterr()
        .err.strip()
        .endswith("out.jsonl exists and holds something else; give another --out, or delete it")
    )


HOSTILE = {
    "cut JSON": '{"prompt": "a", "outputs": [{"gener',
    "a list": "[1, 2]",
    "a number": "7",
    "nested": "[" * 100_000,
    "outputs no list": {"prompt": "a", "outputs": 3},
    "output no object": {"prompt": "a", "outputs": [7]},
    "text a number": {"prompt": "a", "outputs": [{"generated_text": 3}]},
    "ok no truth": {"ok": "yes", "outputs": []},
    "no message": {"ok": True, "outputs": [{"index": 0}]},
    "content a list": {"ok": True, "outputs": [answer(["a"])]},
    "no prompt": {"text": "a"},
    "prompt a list": {"prompt": ["a"], "text": "b"},
    "id true": {"prompt_id": True, "text": "b"},
    "answer a number": {"prompt": "a", "text": 3},
    "responses a text": {"prompt": "a", "responses": "b"},
    "sample below 0": {"prompt": "a", "sample_id": -1, "text": "b"},
    "no doc": {"resps": [["a"]]},
    "resps a text": {"doc_id": 1, "resps": "a"},
    "binary": "\x00\x01\x02",
}


@pytest.mark.parametrize("row", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_lines_are_refused_in_one_sentence(tmp_path, capsys, row):
    path, out = put(tmp_path, "bad.jsonl", row), tmp_path / "out.jsonl"
    formats = ["auto"] if not isinstance(row, dict) else [guess(path)]
    for format in {*formats, "jsonl"} if not isinstance(row, dict) else formats:
        assert run_import(path, out, "--format", format) == 2
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert last.startswith("veneer: error: ") and "bad.jsonl" in last and len(last) < 600, last
    assert not out.exists()


def test_halves_of_characters_and_huge_lines(tmp_path, monkeypatch):
    path = put(tmp_path, "s.jsonl", '{"prompt": "a", "text": "x \\ud800 y"}')
    assert read_stored(path).responses[0].text == "x ? y"
    row = (
        '{"prompt_id": "\\ud800", "text": "x", "system": "\\udfff", "task": "t\\ud800", '
        '"finish_reason": "\\ud800"}'
    )
    (response,) = read_stored(put(tmp_path, "i.jsonl", row)).responses
    assert response.line().encode() and (
        response.prompt_id,
        response.system,
        response.task,
        response.finish_reason,
    ) == ("?", "?", "t?", "?")
    monkeypatch.setattr(json_values, "LONGEST_LINE", 1000)
    with pytest.raises(InputError, match="line 1 is longer than"):
        read_stored(put(tmp_path, "h.jsonl", {"prompt": "a", "text": "x" * 2000}), "jsonl")


@pytest.mark.parametrize(
    "format",
    ["auto", "jsonl", "overton-api", "inspect", "overton-judge", "bertscore", "embeddings"],
)
def test_files_that_are_not_there(tmp_path, capsys, format):
    assert run_import(tmp_path / "none", tmp_path / "o", "--format", format) == 2
    assert "does not exist" in capsys.readouterr().err
    (tmp_path / "empty").write_text("")
    assert run_import(tmp_path / "empty", tmp_path / "o", "--format", format) == 2
    assert not (tmp_path / "o").exists()


def test_reasoning_is_taken_out_of_stored_answers(tmp_path):
    rows = [
        {"prompt_id": "a", "text": "<think>\nso\n</think>\n\nYes."},
        {"prompt_id": "b", "text": "No.", "reasoning": "so"},
        {"prompt_id": "c", "text": "No.", "reasoning_content": "so"},
        {"prompt_id": "d", "text": "<think>\nso"},
        {"prompt_id": "e", "text": "Use <think> tags."},
    ]
    replies = read_stored(put(tmp_path, "a.jsonl", *rows), "jsonl")
    assert [(r.prompt_id, r.reasoning, r.text) for r in replies.responses] == [
        ("a", "so", "Yes."),
        ("b", "so", "No."),
        ("c", "so", "No."),
        ("e", None, "Use <think> tags."),
    ]
    assert replies.dropped == {"unfinished: reasoning and no answer": 1}
    assert replies.noticed == {"reasoning taken out of the answer's text": 2}
    kept = read_stored(put(tmp_path, "a.jsonl", *rows), "jsonl", AS_STORED)
    assert [r.unfinished for r in kept.responses] == [False, False, False, True, False]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (
            [{"id": 1, "prompt": "A", "text": "a"}, {"id": "1", "prompt": "B", "text": "b"}],
            "line 2 has the id '1' and another prompt",
        ),
        (
            [{"prompt": "A", "text": "a", "response": "b"}],
            "has 'text' and 'response', and only one can be the answer",
        ),
        (
            [{"question": "A", "text": "a"}],
            r"does not name the prompt that it answers \(its keys are question, text\)",
        ),
        (
            [{"question": "A", "answer": "a"}],
            "begins with an object with the keys question, answer",
        ),
        (
            [{"messages": [{"role": "user", "content": "u"}]}],
            "does not end with the assistant's answer",
        ),
        (
            [{"prompt_id": " ", "text": "a"}],
            "has a prompt_id that is neither a text nor a whole number",
        ),
        ([{"prompt": "A", "text": "a"}, "not JSON"], "line 2 is not valid JSON"),
    ],
)
def test_answers_that_nobody_can_match(tmp_path, rows, reason):
    with pytest.raises(InputError, match=reason):
        read_stored(put(tmp_path, "c.jsonl", *rows))


def test_a_mark_a_table_and_an_encoding(tmp_path):
    """An import reads what prompt files read, and refuses what they refuse."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"prompt": "Q", "response": "a"}\n')
    assert texts(read_stored(path)) == [("0", 0, "a")]
    path = tmp_path / "a.csv"
    path.write_text('prompt;response;sample_id\nQ;"a, b";0\nQ;c;1\n')
    assert texts(read_stored(path)) == [("0", 0, "a, b"), ("0", 1, "c")]
    path = tmp_path / "b.jsonl"
    path.write_bytes('{"prompt": "Q", "response": "café"}\n'.encode("cp1252"))
    with pytest.raises(InputError, match="line 1 cannot be read as UTF-8"):
        read_stored(path)
    path.write_text("Q a\n")
    with pytest.raises(InputError, match="line 1 is not valid JSON"):
        read_stored(path)


def test_prompts_given_beside_an_import_are_its_own(tmp_path, capsys):
    path, out = (
        put(tmp_path, "a.jsonl", {"prompt_id": "x", "prompt": "Q?", "text": "a"}),
        tmp_path / "o.jsonl",
    )
    for prompts, reason in (
        ({"id": "y", "prompt": "Q?"}, "answers the prompt 'x', and"),
        ({"id": "x", "prompt": "R?"}, "has 'Q?' as the prompt 'x', and"),
    ):
        assert run_import(path, out, "--prompts", put(tmp_path, "p.jsonl", prompts)) == 2
        assert reason in capsys.readouterr().err and not out.exists()
    right = put(tmp_path, "p.jsonl", {"id": "x", "prompt": "Q?"})
    assert run_import(path, out, "--prompts", right) == 0


def test_prompts_of_several_turns_are_written_whole(tmp_path, capsys):
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    path, out = (
        put(tmp_path, "a.jsonl", {"messages": [*turns, {"role": "assistant", "content": "a"}]}),
        tmp_path / "o.jsonl",
    )
    assert run_import(path, out) == 0
    assert json.loads((tmp_path / "o.jsonl.prompts.jsonl").read_text()) == {
        "id": "0",
        "messages": turns,
    }
