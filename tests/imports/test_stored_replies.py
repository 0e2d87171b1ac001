"""Stored replies follow the rules of an endpoint's replies: only an answer is an answer, a refusal
in a field of its own is one, a thought is none."""

from __future__ import annotations

import json

import pytest

from veneer.foundation.errors import InputError
from veneer.imports import AS_STORED, read_stored
from veneer.imports.imported import BROKEN, TOOL, WITHHELD
from veneer.imports.inspect_logs import MORE

CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def stored(tmp_path, *rows, rules=AS_STORED):
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return read_stored(path, rules=rules)


def in_batch(body, id="r"):
    return {"custom_id": id, "response": {"status_code": 200, "body": body}, "error": None}


def chat(message, finish="stop", **more):
    return {"model": "m", "choices": [{"message": message, "finish_reason": finish, **more}]}


def responses(*output, status="completed", **more):
    return {"object": "response", "model": "m", "status": status, "output": list(output), **more}


def assistant_message(*parts):
    return {"type": "message", "role": "assistant", "content": list(parts)}


def claude(*content, stop="end_turn"):
    message = {"type": "message", "model": "m", "content": list(content), "stop_reason": stop}
    return {"custom_id": "r", "result": {"type": "succeeded", "message": message}}


TEXT = {"type": "output_text", "text": "yes"}


@pytest.mark.parametrize(
    ("row", "text", "finish", "reasoning"),
    [
        # a refusal in a field or a part of its own
        (in_batch(chat({"content": "", "refusal": "No."})), "No.", "stop", None),
        (
            in_batch(responses(assistant_message({"type": "refusal", "refusal": "No."}))),
            "No.",
            "stop",
            None,
        ),
        # thoughts, in fields, in parts, as an item
        (in_batch(chat({"content": "yes", "reasoning_content": "so"})), "yes", "stop", "so"),
        (
            in_batch(
                chat(
                    {
                        "content": [
                            {"type": "thinking", "thinking": [{"type": "text", "text": "so"}]},
                            {"type": "text", "text": "ye"},
                            {"type": "text", "text": "s"},
                        ]
                    }
                )
            ),
            "yes",
            "stop",
            "so",
        ),
        (
            in_batch(
                responses(
                    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "so"}]},
                    {"type": "web_search_call", "status": "completed"},
                    assistant_message(TEXT),
                )
            ),
            "yes",
            "stop",
            "so",
        ),
        (
            claude(
                {"type": "thinking", "thinking": "so", "signature": "x"},
                {"type": "server_tool_use", "name": "web_search", "input": {}},
                {"type": "web_search_tool_result", "content": []},
                {"type": "text", "text": "yes"},
            ),
            "yes",
            "stop",
            "so",
        ),
        # a thought alone is an unfinished answer
        (in_batch(chat({"content": None, "reasoning": "so"}, "length")), "", "length", "so"),
        # the words of other servers
        (in_batch(chat({"content": "yes"}, "MAX_TOKENS")), "yes", "length", None),
        (in_batch(chat({"content": "yes"}, {"type": "length"})), "yes", "length", None),
        (
            claude({"type": "text", "text": "yes"}, stop="model_context_window_exceeded"),
            "yes",
            "length",
            None,
        ),
        (
            in_batch(
                responses(
                    assistant_message(TEXT),
                    status="incomplete",
                    incomplete_details={"reason": "max_output_tokens"},
                )
            ),
            "yes",
            "length",
            None,
        ),
        (
            in_batch(
                responses(
                    assistant_message(TEXT),
                    status="incomplete",
                    incomplete_details={"reason": "content_filter"},
                )
            ),
            "yes",
            "content_filter",
            None,
        ),
        (claude({"type": "text", "text": "yes"}, stop="refusal"), "yes", "content_filter", None),
    ],
)
def test_what_an_answer_is(tmp_path, row, text, finish, reasoning):
    (answer,) = stored(tmp_path, row).responses
    assert (answer.text, answer.finish_reason, answer.reasoning) == (text, finish, reasoning)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (in_batch(chat({"content": "Let me look.", "tool_calls": [CALL]}, "tool_calls")), TOOL),
        (in_batch(chat({"content": "Let me look.", "tool_calls": [CALL]})), TOOL),
        (
            in_batch(responses(assistant_message(TEXT), {"type": "function_call", "name": "f"})),
            TOOL,
        ),
        (
            claude(
                {"type": "text", "text": "I check."},
                {"type": "tool_use", "name": "f", "input": {}},
                stop="tool_use",
            ),
            TOOL,
        ),
        (in_batch(chat({"content": "half"}, "error")), BROKEN),
        (in_batch(chat({"content": "half"}, error={"message": "lost"})), BROKEN),
        (in_batch(responses(assistant_message(TEXT), status="cancelled")), BROKEN),
    ],
)
def test_what_no_answer_is(tmp_path, row, why):
    replies = stored(tmp_path, row)
    assert not replies.responses and dict(replies.dropped) == {why: 1}


def test_withheld_answers_are_counted(tmp_path):
    replies = stored(tmp_path, in_batch(chat({"content": "half"}, "content_filter")))
    assert replies.noticed == {WITHHELD: 1}


def test_a_tool_of_an_agent_in_an_inspect_log(tmp_path):
    def sample(id, message, stop):
        choice = {"message": {"role": "assistant", **message}, "stop_reason": stop}
        return {"id": id, "epoch": 1, "input": "Q?", "output": {"choices": [choice]}}

    thought = [
        {"type": "reasoning", "reasoning": "so"},
        {"type": "image", "image": "x"},
        {"type": "text", "text": "yes"},
    ]
    call = {"id": "1", "function": "f", "arguments": {}}
    log = {
        "eval": {"model": "m", "task": "t"},
        "samples": [
            sample(1, {"content": "I check.", "tool_calls": [call]}, "tool_calls"),
            sample(2, {"content": thought}, "stop"),
        ],
    }
    path = tmp_path / "log.json"
    path.write_text(json.dumps(log), encoding="utf-8")
    replies = read_stored(path)
    assert [(r.prompt_id, r.text, r.reasoning) for r in replies.responses] == [("2", "yes", "so")]
    assert dict(replies.dropped) == {TOOL: 1}


def test_what_a_solver_put_around_an_input_is_counted(tmp_path):
    def sample(id, *messages):
        turns = [{"role": r, "content": t} for r, t in messages]
        choice = {"message": {"role": "assistant", "content": "a"}, "stop_reason": "stop"}
        return {"id": id, "input": "Q?", "messages": turns, "output": {"choices": [choice]}}

    samples = [
        sample(1, ("user", "Q?"), ("assistant", "a")),
        sample(2, ("system", "s"), ("user", "Q?"), ("assistant", "a")),
        sample(3, ("user", "Answer: Q?"), ("assistant", "a")),
        {**sample(4), "messages": []},
    ]
    path = tmp_path / "log.json"
    path.write_text(json.dumps({"eval": {"model": "m"}, "samples": samples}), encoding="utf-8")
    replies = read_stored(path)
    assert len(replies.responses) == 4 and dict(replies.noticed) == {MORE: 2}


def test_an_lm_eval_prompt_with_images_is_refused(tmp_path):
    more = {"arg_0": "Q", "arg_1": {"until": []}, "arg_2": {"visual": ["x.png"]}}
    row = {"doc_id": 0, "arguments": {"gen_args_0": more}, "resps": [["a"]]}
    with pytest.raises(InputError, match="a prompt that is more than text"):
        stored(tmp_path, row)
    del more["arg_2"]
    assert len(stored(tmp_path, row).responses) == 1
