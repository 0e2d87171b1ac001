"""What is an answer and what is none: finish reasons of many servers, reasoning, refusals, tools,
streams that nobody asked for."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from endpoint_requests import ask, config
from faulty_server import Call, completion, serving
from veneer.endpoint import Endpoint
from veneer.endpoint.cache import Cache
from veneer.endpoint.events import is_stream, whole
from veneer.endpoint.failure import Failure
from veneer.endpoint.finish import Ending, ending_of, words_of
from veneer.endpoint.reply import Reply, read_reply
from veneer.foundation.errors import VeneerError

pytest.importorskip("openai", reason="needs the package openai: pip install 'veneer[openai]'")

WORDS = {
    Ending.FINISHED: [
        "stop",
        "STOP",
        "eos",
        "eos_token",
        "end_turn",
        "endTurn",
        "EndTurn",
        "stop_sequence",
        "COMPLETE",
        "endoftext",
        "FinishReason.STOP",
    ],
    Ending.CUT: [
        "length",
        "model_length",
        "max_tokens",
        "MAX_TOKENS",
        "MaxTokens",
        "model_context_window_exceeded",
        "FINISH_REASON_MAX_TOKENS",
    ],
    Ending.WITHHELD: [
        "content_filter",
        "safety",
        "SAFETY",
        "recitation",
        "PROHIBITED_CONTENT",
        "content_filter: RECITATION",
        "sensitive",
        "refusal",
    ],
    Ending.FAILED: [
        "error",
        "abort",
        "cancelled",
        "insufficient_system_resource",
        "OTHER",
        "network_error",
        "tool_calls",
        "function_call",
        "load",
        "function_call_filter: MALFORMED_FUNCTION_CALL",
        "MALFORMED_FUNCTION_CALL",
        "tool_use",
        "ERROR",
        "timeout",
    ],
    Ending.UNKNOWN: [
        None,
        "",
        "null",
        "None",
        "something_new",
        3,
        [],
        {},
        "FINISH_REASON_UNSPECIFIED",
        "stopped_by_aliens",
    ],
}
CASES = [(word, ending) for ending, words in WORDS.items() for word in words]


@pytest.mark.parametrize(("word", "ending"), CASES, ids=[repr(c[0]) for c in CASES])
def test_each_word_has_its_kind_and_only_answers_are_read(word, ending):
    assert ending_of(word) is ending and ending_of({"type": word}) is ending
    reply = completion("A hedgehog is a sm")
    reply["choices"][0]["finish_reason"] = word
    if ending in (Ending.FAILED, Ending.UNKNOWN):
        with pytest.raises(Failure):
            read_reply(reply)
    else:
        wanted = {Ending.FINISHED: "stop", Ending.CUT: "length", Ending.WITHHELD: "content_filter"}[
            ending
        ]
        assert read_reply(reply)["finish_reason"] == wanted


def test_the_page_says_what_the_table_says():
    page = (Path(__file__).parents[2] / "docs" / "endpoints.md").read_text()
    rows = [
        row.split("|")[1:3]
        for row in page.splitlines()
        if row.startswith(("| finished |", "| cut |", "| withheld |", "| failed, "))
    ]
    assert len(rows) == 5
    for kind, words in rows:
        wanted = Ending(kind.split(",")[0].strip())
        assert {ending_of(w) for w in re.findall("`(.+?)`", words)} == {wanted}, kind


def test_no_word_has_two_kinds():
    every = [w for e in Ending for w in words_of(e)]
    assert len(every) == len(set(every)) and all(w == w.lower() for w in every)


@pytest.mark.parametrize(
    ("word", "attempts"),
    [("error", 4), ("abort", 4), ("insufficient_system_resource", 4), (None, 2), ("new", 2)],
)
def test_what_failed_is_asked_again_where_that_can_help_and_is_never_kept(word, attempts, tmp_path):
    def answer(call: Call) -> None:
        reply = completion("A hedgehog is a sm")
        reply["choices"][0]["finish_reason"] = word
        call.json(reply)

    with serving(answer) as server:
        kept = tmp_path / "replies.jsonl"
        with pytest.raises(VeneerError) as error:
            Endpoint(config(server.url, cache=kept)).chat_many(ask("a"))
        assert len(server.calls) == attempts and not kept.exists() and error.value.exit_code == 1
    assert "finish_reason" in str(error.value)


def test_a_tool_call_is_that_requests_own_failure():
    with serving(
        lambda c: c.say("I look it up.", "tool_calls" if c.prompt == "b" else "stop")
    ) as server:
        replies = Endpoint(config(server.url, concurrency=1)).chat_many(ask("a", "b", "c"))
        assert len(server.calls) == 3
    assert [r.text for r in replies] == ["I look it up.", "", "I look it up."]
    assert replies[1].own and "a call of the tool" in str(replies[1].error)


def test_a_transient_failure_among_the_finish_reasons_is_retried():
    with serving(lambda c: c.say("half", "error") if c.times == 1 else c.say("whole")) as server:
        assert [r.text for r in Endpoint(config(server.url)).chat_many(ask("a", "b"))] == [
            "whole",
            "whole",
        ]


def test_an_error_on_the_choice_is_reported_in_its_own_words():
    """genkit-ai/genkit#6259, UKGovernmentBEIS/inspect_ai#1536."""
    reply = completion("A hedgehog is a sm", "error")
    reply["choices"][0]["error"] = {"code": 502, "message": "Provider disconnected"}
    with serving(lambda c: c.json(reply)) as server:
        with pytest.raises(VeneerError, match="Provider disconnected") as error:
            Endpoint(config(server.url, retries=1)).chat_many(ask("a"))
        assert error.value.exit_code == 1 and len(server.calls) == 2
    reply["choices"][0]["finish_reason"] = "stop"
    with pytest.raises(Failure, match="Provider disconnected"):
        read_reply(reply)


THOUGHT = "The user asks about hedgehogs."
# where it was reported, message, text, reasoning
REASONING: list[tuple[str, dict[str, Any], str | None, str]] = [
    ("vllm-project/vllm#45736", {"content": None, "reasoning_content": THOUGHT}, "", THOUGHT),
    ("BerriAI/litellm#38199", {"content": "", "reasoning": THOUGHT}, "", THOUGHT),
    (
        "OpenRouter",
        {
            "content": "Small.",
            "reasoning": THOUGHT,
            "reasoning_details": [{"type": "reasoning.text", "text": "no"}],
        },
        "Small.",
        THOUGHT,
    ),
    (
        "OpenRouter, details alone",
        {
            "content": "Small.",
            "reasoning_details": [{"type": "reasoning.summary", "summary": THOUGHT}],
        },
        "Small.",
        THOUGHT,
    ),
    (
        "Mistral",
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]},
                {"type": "text", "text": "Small."},
            ]
        },
        "Small.",
        THOUGHT,
    ),
    (
        "LiteLLM",
        {
            "content": "Small.",
            "thinking_blocks": [{"type": "thinking", "thinking": THOUGHT, "signature": "x"}],
        },
        "Small.",
        THOUGHT,
    ),
    ("Ollama", {"content": "Small.", "thinking": THOUGHT}, "Small.", THOUGHT),
    (
        "Mistral, cut in its thought",
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}]},
        "",
        THOUGHT,
    ),
]


@pytest.mark.parametrize(
    ("source", "message", "text", "reasoning"), REASONING, ids=[r[0] for r in REASONING]
)
def test_reasoning_stands_apart_and_alone_it_is_no_answer(source, message, text, reasoning):
    data = {"choices": [{"finish_reason": "stop", "message": message}]}
    reply = Reply(**read_reply(data))
    assert (reply.text, reply.reasoning, reply.unfinished) == (text, reasoning, not text)


def test_hidden_reasoning_is_known_by_its_tokens():
    """OpenAI hides the thought and counts it: an empty answer behind it is none."""
    data = completion("", "length")
    data["usage"]["completion_tokens_details"] = {"reasoning_tokens": 64}
    assert (
        Reply(**read_reply(data)).unfinished
        and not Reply(**read_reply(completion("", "stop"))).unfinished
    )


def test_other_content():
    read = lambda **message: read_reply(  # noqa: E731
        {"choices": [{"finish_reason": "stop", "message": message}]}
    )
    assert read(content=None, refusal="I can't help.")["text"] == "I can't help.", (
        "a refusal in its own field is the answer's text"
    )
    assert read(content=[{"type": "refusal", "refusal": "No."}])["text"] == "No."
    assert read(content=["a", {"text": "b"}, {"type": "output_text", "text": "c"}])["text"] == "abc"
    with pytest.raises(ValueError, match="image_url"):
        read(content=[{"type": "image_url", "image_url": {}}])
    with pytest.raises(ValueError, match="without content"):
        read(content=None)
    for call in (
        {"tool_calls": [{"function": {"name": "web"}}]},
        {"function_call": {"name": "web"}},
    ):
        with pytest.raises(
            Failure, match="a call of the tool 'web' in place of an answer"
        ) as failure:
            read(content=None, **call)
        assert failure.value.own and not failure.value.passing
    for none in (
        {"tool_calls": [], "function_call": None},
        {"function_call": {"name": "", "arguments": ""}},
        {"tool_calls": [{"id": "", "type": "function", "function": {"name": "", "arguments": ""}}]},
    ):
        assert read(content="a", **none)["text"] == "a"
    with pytest.raises(Failure, match="a call of the tool 'web'"):
        read(content="a", function_call={"name": "web", "arguments": ""})


def chunks(*events: dict[str, Any] | str) -> bytes:
    return b"".join(
        b"data: " + (e if isinstance(e, str) else json.dumps(e)).encode() + b"\n\n" for e in events
    )


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {
        "object": "chat.completion.chunk",
        "model": "m-1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


STREAM = chunks(
    chunk(role="assistant"),
    chunk(reasoning_content="Hm. "),
    chunk(reasoning_content="Yes."),
    chunk(content="A "),
    chunk(content="hedgehog"),
    chunk("stop"),
    {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 5}},
    "[DONE]",
)


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b,
        lambda b: b.replace(b"\n", b"\r\n"),
        lambda b: b": keep-alive\n\n" + b,
        lambda b: b.replace(b"\n\n", b"\n"),
    ],
)
def test_an_unrequested_stream_is_joined(change):
    """BerriAI/litellm#25766: an endpoint that always streams."""
    with serving(lambda c: c.raw(change(STREAM), 200, "text/event-stream")) as server:
        (reply,) = Endpoint(config(server.url)).chat_many(ask("a"))
        assert len(server.calls) == 1
    assert (reply.text, reply.reasoning, reply.finish_reason, reply.model) == (
        "A hedgehog",
        "Hm. Yes.",
        "stop",
        "m-1",
    )
    assert (reply.prompt_tokens, reply.completion_tokens) == (9, 5)


def test_a_stream_that_broke_off_or_holds_an_error_is_no_answer():
    for body, says in (
        (chunks(chunk(content="A hedgehog is a sm")), "does not say how it ended"),
        (
            chunks(chunk(content="A"), {"error": {"message": "Upstream is gone", "code": 502}}),
            "Upstream is gone",
        ),
        (chunks(chunk(content="A")) + b"data: {cut", "not JSON"),
    ):
        with (
            serving(lambda c, body=body: c.raw(body, 200, "text/event-stream")) as server,
            pytest.raises(VeneerError, match=says),
        ):
            Endpoint(config(server.url, retries=1)).chat_many(ask("a"))


def test_log_probabilities_of_a_stream_stand_one_behind_the_other():
    events = [chunk(content="a"), chunk("stop", content="b")]
    for event, token in zip(events, "ab", strict=True):
        event["choices"][0]["logprobs"] = {"content": [{"token": token, "logprob": -0.5}]}
    choice = whole(chunks(*events))["choices"][0]
    assert [one["token"] for one in choice["logprobs"]["content"]] == ["a", "b"] and not is_stream(
        b'{"data": 1}'
    )


def test_a_packed_reply_and_one_with_a_mark_in_front_are_read():
    data = json.dumps(completion("plain")).encode()
    for body, headers in (
        (gzip.compress(data), {"Content_Encoding": "gzip"}),
        (b"\xef\xbb\xbf" + data, {}),
        (b"\n \n" + data, {}),
    ):
        with serving(lambda c, b=body, h=headers: c.raw(b, 200, **h)) as server:
            assert Endpoint(config(server.url)).chat_many(ask("a"))[0].text == "plain"


def test_replies_that_an_older_version_kept_are_read_in_the_words_of_today(tmp_path):
    """Version 0.1.0 kept the server's own words, and failed answers as finished ones."""
    file = tmp_path / "replies.jsonl"
    kept = Cache(file)
    for word in ("stop", "eos", "MAX_TOKENS", "error", "tool_calls"):
        kept.put(word, {"text": "x", "finish_reason": word})
    kept.put("vectors", {"vectors": [[1.0]]})
    reasons = {
        k: (Cache(file).get(k) or {}).get("finish_reason")
        for k in ("stop", "eos", "MAX_TOKENS", "error", "tool_calls")
    }
    assert reasons == {
        "stop": "stop",
        "eos": "stop",
        "MAX_TOKENS": "length",
        "error": None,
        "tool_calls": None,
    }
    assert Cache(file).get("vectors") == {"vectors": [[1.0]]}


def test_which_models_answered_is_known_also_from_the_cache(tmp_path):
    def answer(call: Call) -> None:
        call.json({**completion("x"), "model": f"routed-{call.prompt}"})

    with serving(answer) as server:
        how = config(server.url, cache=tmp_path / "replies.jsonl", concurrency=1)
        first = Endpoint(how)
        first.chat_many(ask("a", "b"))
        again = Endpoint(how)
        again.chat_many(ask("a", "b"))
        assert (
            first.record() == again.record() == {"models": ["routed-a", "routed-b"]}
            and len(server.calls) == 2
        )
