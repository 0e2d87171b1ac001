"""Files of responses: reasoning stands there only where there is any, and older files, whose texts
hold it, are read the same way."""

from __future__ import annotations

import json

import pytest

from thoughts import ANSWER, CUT, THOUGHT, forms
from veneer.foundation.errors import InputError
from veneer.studies.diversity.answers_table import by_prompt
from veneer.studies.recovery.stored import line_up
from veneer.systems.responses import Response, finished, read_responses, write_responses

PLAIN = Response("p0", 0, "aligned", "prompts", ANSWER, (1, 2), "stop", 0)


def test_a_response_without_reasoning_is_written_as_before(tmp_path):
    assert list(json.loads(PLAIN.line())) == [
        "prompt_id",
        "sample_id",
        "system",
        "task",
        "text",
        "token_ids",
        "finish_reason",
        "seed",
    ]
    thinking = Response("p1", 0, "aligned", "prompts", "", (1,), "length", 0, "so")
    write_responses(tmp_path / "r.jsonl", [PLAIN, thinking])
    assert read_responses(tmp_path / "r.jsonl") == [PLAIN, thinking]
    assert thinking.unfinished and not thinking.empty and not PLAIN.unfinished


@pytest.mark.parametrize("form", forms())
def test_a_file_of_an_older_version_is_taken_apart(tmp_path, form):
    write_responses(
        tmp_path / "r.jsonl", [Response("p0", 0, "a", "t", forms()[form], (), "stop", 0)]
    )
    (response,) = read_responses(tmp_path / "r.jsonl")
    assert response.text.strip() == ANSWER and THOUGHT in (response.reasoning or "")


def test_a_thought_alone_is_unfinished(tmp_path):
    write_responses(
        tmp_path / "r.jsonl", [Response("p0", 0, "a", "t", CUT["think"], (), "length", 0)]
    )
    (response,) = read_responses(tmp_path / "r.jsonl")
    assert response.unfinished and response.text == ""


def test_comparisons_of_texts_leave_unfinished_answers_out(caplog):
    cut = Response("p1", 0, "aligned", "prompts", "", (), "length", 0, "so")
    empty = Response("p2", 0, "aligned", "prompts", "", (), "stop", 0)
    assert finished([PLAIN, cut, empty]) == [PLAIN, empty]
    assert "1 of 3 answers of aligned end within their reasoning" in caplog.text
    assert by_prompt([PLAIN, cut]) == {"p0": {0: ANSWER}}
    assert line_up([PLAIN, cut], {"base": [PLAIN]}).ids == ["p0"]
    with pytest.raises(InputError, match="every answer of aligned"):
        finished([cut])
