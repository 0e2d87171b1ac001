"""Rows that hold a server's reply, an engine's outputs or a turn in place of the answer's text."""

from __future__ import annotations

import json

import pytest

from veneer.foundation.errors import InputError
from veneer.imports import AS_STORED, read_stored

TURN = {"role": "assistant", "content": "I can't."}
USER = [{"role": "user", "content": "u"}]


def stored(tmp_path, *rows, name="mine.jsonl"):
    path = tmp_path / name
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return read_stored(path, rules=AS_STORED)


def completion(*answers):
    """A chat completion, as OpenAI's client dumps it."""
    return {
        "id": "c",
        "object": "chat.completion",
        "choices": [
            {"index": i, "finish_reason": end, "message": {"role": "assistant", "content": text}}
            for i, (text, end) in enumerate(answers)
        ],
    }


@pytest.mark.parametrize(
    ("row", "answers"),
    [
        # LiteLLM's log
        ({"id": "x", "messages": USER, "response": completion(("a", "stop"), ("b", "length"))},
         [("a", "stop"), ("b", "length")]),
        # vLLM's RequestOutput
        ({"request_id": "0", "prompt": "u",
          "outputs": [{"index": 0, "text": "a", "finish_reason": "length", "stop_reason": None},
                      {"index": 1, "text": "b", "finish_reason": "stop", "stop_reason": 2}]},
         [("a", "length"), ("b", "stop")]),
        ({"prompt": "u", "outputs": ["a", "b"]}, [("a", "unknown"), ("b", "unknown")]),
        ({"prompt": "u", "responses": [TURN]}, [("I can't.", "unknown")]),
        # Langfuse
        ({"prompt": "u", "output": TURN}, [("I can't.", "unknown")]),
        # Anthropic's message
        ({"prompt": "u", "response": {"type": "message", "stop_reason": "max_tokens", "content": [
            {"type": "thinking", "thinking": "so"}, {"type": "text", "text": "a"}]}},
         [("a", "length")]),
        # a chat of transformers' pipeline
        ({"generated_text": [*USER, TURN]}, [("I can't.", "unknown")]),
    ],
)  # fmt: skip
def test_the_answer_within_a_reply(tmp_path, row, answers):
    read = stored(tmp_path, row)
    assert [(r.text, r.finish_reason) for r in read.responses] == answers
    assert [p.messages[-1]["content"] for p in read.prompts] == ["u"]


def test_a_turn_in_a_cell_is_the_answer(tmp_path):
    path = tmp_path / "trace.csv"
    cell = json.dumps(TURN).replace('"', '""')
    path.write_text(f'prompt,output\nu,"{cell}"\nv,"{{""role"": ""model"", ""n"": 1}}"\n')
    first, second = read_stored(path).responses
    assert first.text == "I can't." and second.text == '{"role": "model", "n": 1}'


def test_json_that_was_asked_for_is_an_answer(tmp_path):
    quiz = '{"id": 1, "choices": ["a", "b"]}'
    (answer,) = stored(tmp_path, {"prompt": "u", "response": quiz}).responses
    assert answer.text == quiz


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "u", "response": USER}, "has a turn of 'user' as its answer"),
        ({"prompt": "u", "output": [*USER, TURN]}, "has 2 turns as its output"),
        ({"prompt": "u", "response": {"choices": 7}}, 'has a number as "choices"'),
        ({"prompt": "u", "response": {"candidates": []}}, "has no answer that is a text"),
    ],
)
def test_other_objects_are_refused(tmp_path, row, reason):
    with pytest.raises(InputError, match=reason):
        stored(tmp_path, row)


def test_a_sentence_is_no_name_of_a_system(tmp_path):
    row = {"prompt": "u", "system": "You are a helpful assistant.", "response": "a"}
    with pytest.raises(InputError, match=r'has "system": .*, a text that the model read'):
        stored(tmp_path, row)
    assert stored(tmp_path, {**row, "system": "Llama 3.1 8B"}).responses[0].system == "Llama 3.1 8B"


def test_replies_that_failed_are_counted(tmp_path):
    failed = [{"choices": []}, {"error": {"message": "quota"}}]
    read = stored(tmp_path, *({"prompt": "u", "response": r} for r in failed))
    assert not read.responses and dict(read.dropped) == {"error: no answer": 2}
    read = stored(tmp_path, {"prompt": "u", "responses": ["a", {"error": "quota"}]})
    assert len(read.responses) == 1 and dict(read.dropped) == {"error: no answer": 1}


def test_replies_of_two_models_are_those_of_two_systems(tmp_path):
    rows = [{"prompt": "u", "response": {**completion(("a", "stop")), "model": m}} for m in "xy"]
    assert [(r.system, r.sample_id) for r in stored(tmp_path, *rows).responses] == [
        ("x", 0),
        ("y", 0),
    ]
