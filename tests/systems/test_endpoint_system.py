"""A system behind an endpoint, on a server that misbehaves: no answer is lost, none is made up."""

from __future__ import annotations

import json

import pytest

from faulty_server import Call, completion, serving
from veneer.endpoint import EndpointConfig, Reply
from veneer.foundation.errors import InputError, VeneerError
from veneer.models.decode import Decoded, Sampling
from veneer.prompts.prompt import Prompt
from veneer.systems.endpoint import EndpointSystem, _decoded
from veneer.systems.respond import respond

pytest.importorskip("openai", reason="needs the package openai: pip install 'veneer[openai]'")
PROMPTS = [
    Prompt.from_text(str(i), f"question {i}", plain=f"Q: question {i}\nA:") for i in range(4)
]


def config(url: str, **words) -> EndpointConfig:
    return EndpointConfig(
        url, "stand-in", key_env="VENEER_TEST_KEY", retries=1, first_wait=0.01, timeout=5.0, **words
    )


def test_what_is_sent_and_how_the_end_is_read(tmp_path):
    def answer(call: Call) -> None:
        call.say(
            "one STOP two" if call.prompt.endswith("0") else "long",
            "stop" if call.prompt.endswith("0") else "length",
        )

    with serving(answer) as server:
        system = EndpointSystem(config(server.url), name="there", system="Be brief.", stop=("###",))
        sampling = Sampling(7, temperature=0.5, top_p=0.9, seed=3)
        out = respond(
            system, PROMPTS, sampling, stop_strings=("STOP",), samples=2, out=tmp_path / "r.jsonl"
        )
        assert (
            respond(
                system,
                PROMPTS,
                sampling,
                stop_strings=("STOP",),
                samples=2,
                out=tmp_path / "r.jsonl",
            )
            == out
        )
    assert [(r.text, r.finish_reason) for r in out[:3]] == [
        ("one ", "stop"),
        ("one ", "stop"),
        ("long", "length"),
    ]
    assert all(r.system == "there" and r.token_ids == () for r in out) and len(server.calls) == 8
    body = server.calls[0]
    assert (body["max_tokens"], body["temperature"], body["top_p"], body["stop"]) == (
        7,
        0.5,
        0.9,
        ["STOP", "###"],
    )
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert len({c["seed"] for c in server.calls}) == 8, "every answer has a seed of its own"


def test_completions_go_on_from_the_plain_text():
    with serving(
        lambda c: c.json({"choices": [{"text": f" after {c.prompt}", "finish_reason": "stop"}]})
    ) as server:
        (one, *_) = respond(
            EndpointSystem(config(server.url), style="completion"), PROMPTS, Sampling(5)
        )
    assert (
        one.text == " after Q: question 0\nA:"
        and "seed" not in server.calls[0]
        and "messages" not in server.calls[0]
    )


def test_no_option_is_left_out_without_a_word():
    how = Sampling(
        5,
        top_k=3,
        min_p=0.1,
        repetition_penalty=1.2,
        presence_penalty=0.3,
        frequency_penalty=0.4,
        min_new_tokens=2,
        logit_bias=((7, -1.0),),
    )
    with serving(lambda c: c.say("fine")) as server:
        respond(EndpointSystem(config(server.url)), PROMPTS[:1], how)
    (body,) = server.calls
    wanted = {
        "top_k": 3,
        "min_p": 0.1,
        "repetition_penalty": 1.2,
        "presence_penalty": 0.3,
        "frequency_penalty": 0.4,
        "min_tokens": 2,
    }
    assert body.items() >= wanted.items() and body["logit_bias"] == {"7": -1.0}


def test_a_filtered_answer_is_empty_and_a_missing_one_stops_the_run(tmp_path):
    broken = [True]

    def answer(call: Call) -> None:
        if call.prompt.endswith("1"):
            return call.json({"error": {"code": "content_filter", "message": "no"}}, 400)
        call.error(500) if call.prompt.endswith("2") and broken[0] else call.say("fine")

    with serving(answer) as server:
        words = config(server.url, cache=tmp_path / "replies.jsonl", concurrency=1)
        out = tmp_path / "r.jsonl"
        with pytest.raises(VeneerError, match="gave no answer to prompts '2': HTTP 500"):
            respond(EndpointSystem(words), PROMPTS, Sampling(5), out=out)
        assert not out.exists()
        broken[0], before = False, len(server.calls)
        responses = respond(EndpointSystem(words), PROMPTS, Sampling(5), out=out)
    assert [r.text for r in responses] == ["fine", "", "fine", "fine"]
    assert len(server.calls) == before + 2, "only the missing and the filtered one are asked again"


def test_facts_tell_systems_apart_and_hold_no_key(monkeypatch):
    monkeypatch.setenv("VENEER_TEST_KEY", "sk-very-secret")
    chat, plain = (EndpointSystem(config("http://h/v1"), style=s) for s in ("chat", "completion"))
    assert (
        chat.facts() != plain.facts()
        and "secret" not in str(chat.facts())
        and chat.longest() is None
    )
    assert all(n > 0 for n in chat.prompt_tokens(PROMPTS))


def test_reasoning_is_kept_apart_from_the_answer():
    replies = {
        "0": ("<think>\nSTOP?\n</think>\n\none STOP two", "stop"),
        "1": ("so it is</think>\nyes", "stop"),
        "2": ("<think>\nstill", "length"),
        "3": ("Use `<think>` here.", "stop"),
    }
    with serving(lambda c: c.say(*replies[c.prompt[-1]])) as server:
        out = respond(
            EndpointSystem(config(server.url)), PROMPTS, Sampling(9), stop_strings=("STOP",)
        )
    assert [(r.reasoning, r.text, r.finish_reason) for r in out] == [
        ("STOP?", "one ", "stop"),
        ("so it is", "yes", "stop"),
        ("still", "", "length"),
        (None, "Use `<think>` here.", "stop"),
    ]
    assert [r.unfinished for r in out] == [False, False, True, False]


def test_what_a_server_tells_as_reasoning_lands_in_the_response():
    assert _decoded(Reply("yes STOP", reasoning="so it is"), ("STOP",)) == Decoded(
        (), "yes ", "stop", "so it is"
    )
    assert _decoded(Reply("", "length", reasoning="so"), ()) == Decoded((), "", "length", "so")
    assert _decoded(Reply("<think>b</think>yes", reasoning="a"), ()) == Decoded(
        (), "yes", "stop", "a\n\nb"
    )


def test_what_says_nothing_is_not_sent_and_what_says_something_is():
    """LioQing/llm-extension-for-cmd-pal#15: servers that refuse a temperature
    beside a top_p of 1."""
    both = {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "`temperature` and `top_p` cannot both be specified",
        },
    }

    def answer(call: Call) -> None:
        call.json(both, 400) if {"temperature", "top_p"} <= set(call.body) else call.say("fine")

    with serving(answer) as server:
        (one,) = respond(
            EndpointSystem(config(server.url)), PROMPTS[:1], Sampling(5, temperature=0.7)
        )
        assert one.text == "fine" and set(server.calls[0]) == {
            "model",
            "messages",
            "max_tokens",
            "temperature",
            "seed",
        }
        with pytest.raises(
            InputError, match="does not take the parameter 'top_p'; change or leave out --top-p"
        ):
            respond(
                EndpointSystem(config(server.url)),
                PROMPTS[:1],
                Sampling(5, temperature=0.7, top_p=0.5),
            )


def test_reasoning_alone_is_an_unfinished_answer_with_a_warning(caplog):
    def answer(call: Call) -> None:
        call.say(
            None if call.prompt.endswith("1") else "Small.", reasoning_content="The user asks."
        )

    with serving(answer) as server:
        out = respond(EndpointSystem(config(server.url), name="there"), PROMPTS[:3], Sampling(5))
    assert [(r.text, r.finish_reason) for r in out] == [
        ("Small.", "stop"),
        ("", "length"),
        ("Small.", "stop"),
    ]
    assert (
        "there gave no answer to 1 of 3 prompts (the first is prompts '1')" in caplog.text
        and "reasoning_content" in caplog.text
    )


@pytest.mark.parametrize(
    ("finish", "text", "kept"),
    [
        ("MAX_TOKENS", "cut", "length"),
        ("eos", "whole", "stop"),
        ("content_filter", "a part", "content_filter"),
        ("SAFETY", None, "content_filter"),
    ],
)
def test_finish_reasons_are_stored_in_three_words(finish, text, kept):
    with serving(lambda c: c.say(text, finish)) as server:
        (one,) = respond(EndpointSystem(config(server.url)), PROMPTS[:1], Sampling(5))
    assert (one.text, one.finish_reason) == (text or "", kept)


@pytest.mark.parametrize(
    ("finish", "says"),
    [
        ("error", "broke off"),
        ("tool_calls", "a call of the tool"),
        ("", "does not say how it ended"),
        ("abort", "broke off"),
    ],
)
def test_what_is_no_answer_stops_the_run_and_leaves_nothing(finish, says, tmp_path):
    with (
        serving(lambda c: c.say("A hedgehog is a sm", finish)) as server,
        pytest.raises(VeneerError, match=says) as error,
    ):
        respond(
            EndpointSystem(config(server.url)), PROMPTS[:1], Sampling(5), out=tmp_path / "r.jsonl"
        )
    assert error.value.exit_code == 1 and not list(tmp_path.iterdir())


def test_the_manifest_says_what_was_not_as_asked(tmp_path):
    def answer(call: Call) -> None:
        call.error(400, "Unknown parameter: 'seed'.") if "seed" in call.body else call.say("fine")

    out, plain = tmp_path / "r.jsonl", tmp_path / "plain.jsonl"
    with serving(answer) as server:
        respond(EndpointSystem(config(server.url)), PROMPTS, Sampling(5, temperature=0.7), out=out)
    record = json.loads((tmp_path / "r.jsonl.manifest.json").read_text())
    assert record["endpoint"] == {"models": ["stand-in-1"], "adjusted": ["seed left out"]}
    with serving(lambda c: c.json({**completion("fine"), "model": "stand-in"})) as server:
        respond(EndpointSystem(config(server.url)), PROMPTS, Sampling(5), out=plain)
    assert "endpoint" not in json.loads((tmp_path / "plain.jsonl.manifest.json").read_text()), (
        "where all is as asked nothing is said"
    )
