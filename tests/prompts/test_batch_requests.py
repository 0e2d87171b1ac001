"""The requests of a batch are prompts: its results find them by their ids."""

from __future__ import annotations

import json

import pytest

from veneer.foundation.errors import InputError
from veneer.prompts.files import read_prompts

USER, SYSTEM = {"role": "user", "content": "u"}, {"role": "system", "content": "s"}
ANSWER = {"role": "assistant", "content": "a"}
TALK = [SYSTEM, USER, ANSWER, USER]
TOOL = [{"type": "function", "function": {"name": "f"}}]
IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]


def read(tmp_path, body, url="/v1/chat/completions", custom_id="request-1"):
    path = tmp_path / "requests.jsonl"
    row = {"custom_id": custom_id, "method": "POST", "url": url, "body": {"model": "m", **body}}
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    return read_prompts(str(path))


@pytest.mark.parametrize(
    ("body", "url", "turns"),
    [
        ({"messages": [USER], "max_tokens": 9}, "/v1/chat/completions", (USER,)),
        (
            {"messages": [SYSTEM, USER, ANSWER, USER]},
            "/v1/chat/completions",
            (SYSTEM, USER, ANSWER, USER),
        ),
        ({"prompt": "u"}, "/v1/completions", (USER,)),
        ({"input": "u"}, "/v1/responses", (USER,)),
        ({"input": "u", "instructions": "s"}, "/v1/responses", (SYSTEM, USER)),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text", "text": "u"}]}]},
            "/v1/responses",
            (USER,),
        ),
    ],
)
def test_a_request_is_a_prompt(tmp_path, body, url, turns):
    (prompt,) = read(tmp_path, body, url)
    assert (prompt.id, prompt.messages) == ("request-1", turns)


@pytest.mark.parametrize(
    ("body", "url", "reason"),
    [
        ({"messages": [USER], "tools": TOOL}, "/v1/chat/completions", '"tools" beside "messages"'),
        ({"input": "u", "tools": TOOL}, "/v1/responses", '"tools" beside'),
        ({"messages": IMAGE}, "/v1/chat/completions", "a part of the type 'image_url'"),
        ({"messages": [USER, ANSWER]}, "/v1/chat/completions", "ends with the turn of assistant"),
        ({"input": "u", "previous_response_id": "r"}, "/v1/responses", "continues another one"),
        ({"input": "u"}, "/v1/embeddings", "a request to '/v1/embeddings' without messages"),
        ({"prompt": ["u", "v"]}, "/v1/completions", "no chat turn"),
    ],
)
def test_a_request_that_is_no_prompt_is_refused(tmp_path, body, url, reason):
    with pytest.raises(InputError, match=reason):
        read(tmp_path, body, url)


def test_ids_are_those_of_the_results(tmp_path):
    assert read(tmp_path, {"messages": [USER]}, custom_id=7)[0].id == "7"
    with pytest.raises(InputError, match="has the custom_id None"):
        read(tmp_path, {"messages": [USER]}, custom_id=None)


def test_the_requests_of_anthropic(tmp_path):
    path = tmp_path / "requests.jsonl"
    params = {"model": "m", "max_tokens": 9, "system": "s", "messages": [USER]}
    path.write_text(json.dumps({"custom_id": "a", "params": params}) + "\n", encoding="utf-8")
    (prompt,) = read_prompts(str(path))
    assert (prompt.id, prompt.messages) == ("a", (SYSTEM, USER))
