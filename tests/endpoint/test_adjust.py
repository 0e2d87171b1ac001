"""Parameters that servers refuse, in the words of their public reports: what is left out, what is
renamed, and what is an error."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from faulty_server import Call, serving
from veneer.endpoint import ChatRequest, Endpoint, EndpointConfig
from veneer.endpoint.adjust import SAMPLED, Adjustments
from veneer.endpoint.failure import Fault, of_error, of_status
from veneer.foundation.errors import InputError

pytest.importorskip("openai", reason="needs the package openai: pip install 'veneer[openai]'")

BODY = {"messages": [], "max_tokens": 9, "temperature": 0.5, "seed": 3}
JUDGE = {
    "messages": [],
    "max_tokens": 9,
    "temperature": 0,
    "response_format": {"type": "json_schema"},
}
LOGPROBS = {"messages": [], "max_tokens": 9, "temperature": 0, "logprobs": True, "top_logprobs": 20}


def openai(message: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    return {
        "error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    }


def gone(body: dict[str, Any], *names: str, **more: Any) -> dict[str, Any]:
    return {**{k: v for k, v in body.items() if k not in names}, **more}


# (where it was reported, what was sent, status, body of the error, what is sent then)
LEFT_OUT: list[tuple[str, dict[str, Any], int, Any, dict[str, Any]]] = [
    (
        "vectorize-io/hindsight#978",
        BODY,
        400,
        openai(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            "max_tokens",
            "unsupported_parameter",
        ),
        gone(BODY, "max_tokens", max_completion_tokens=9),
    ),
    (
        "langchain-ai/langchain-azure#82",
        BODY,
        422,
        {
            "detail": [
                {
                    "type": "extra_forbidden",
                    "loc": ["body", "seed"],
                    "msg": "Extra inputs are not permitted",
                    "input": 123,
                }
            ]
        },
        gone(BODY, "seed"),
    ),
    (
        "modelscope/evalscope#252",
        BODY,
        400,
        {
            "object": "error",
            "message": "[{'type': 'extra_forbidden', 'loc': ('body', 'seed'), 'msg': 'Extra "
            "inputs are not permitted', 'input': 42, 'url': "
            "'https://errors.pydantic.dev/2.5/v/extra_forbidden'}]",
            "type": "BadRequestError",
            "code": 400,
        },
        gone(BODY, "seed"),
    ),
    (
        "BerriAI/litellm#3923",
        BODY,
        500,
        {
            "error": {
                "message": (
                    "ollama does not support parameters: {'seed': 1}, for model=llama3:latest. To "
                    "drop these, set `litellm.drop_params=True`"
                ),
                "type": None,
                "param": None,
                "code": 500,
            }
        },
        gone(BODY, "seed"),
    ),
    (
        "kaiko-ai/eva#895",
        BODY,
        400,
        openai(
            "litellm.UnsupportedParamsError: anthropic does not support parameters: ['seed'], for "
            "model=claude-3-7-sonnet-20250219. To drop these, set `litellm.drop_params=True`"
        ),
        gone(BODY, "seed"),
    ),
    (
        "Vali-98/ChatterUI#227",
        BODY,
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": 'Invalid JSON payload received. Unknown name "seed": Cannot find '
                    "field.",
                    "status": "INVALID_ARGUMENT",
                    "details": [{"fieldViolations": [{"description": "x"}]}],
                }
            }
        ],
        gone(BODY, "seed"),
    ),
    (
        "esafak/seance#18",
        JUDGE,
        400,
        {
            "error": {
                "code": 400,
                "message": 'Invalid JSON payload received. Unknown name "response_format": Cannot '
                "find field.",
                "status": "INVALID_ARGUMENT",
            }
        },
        gone(JUDGE, "response_format"),
    ),
    (
        "EleutherAI/lm-evaluation-harness#3215",
        {**BODY, "stop": ["#"]},
        400,
        openai(
            "Unsupported parameter: 'stop' is not supported with this model.",
            "stop",
            "unsupported_parameter",
        ),
        BODY,
    ),
    (
        "vllm-project/vllm#5299",
        LOGPROBS,
        400,
        {
            "object": "error",
            "message": "Requested sample logprobs of 20, which is greater than max allowed: 5",
            "type": "BadRequestError",
            "code": 400,
        },
        {**LOGPROBS, "top_logprobs": 5},
    ),
    (
        "mscraftsman/generative-ai#135",
        LOGPROBS,
        400,
        {
            "error": {
                "code": 400,
                "message": "Logprobs is not enabled for models/gemini-2.5-pro",
                "status": "INVALID_ARGUMENT",
            }
        },
        gone(LOGPROBS, "logprobs", "top_logprobs"),
    ),
    (
        "openai/openai-python#433",
        LOGPROBS,
        400,
        openai("Unrecognized request argument supplied: logprobs"),
        gone(LOGPROBS, "logprobs", "top_logprobs"),
    ),
    (
        "two servers' limits",
        LOGPROBS,
        400,
        openai("top_logprobs must be less than or equal to 8", "top_logprobs"),
        {**LOGPROBS, "top_logprobs": 8},
    ),
]


@pytest.mark.parametrize(
    ("source", "sent", "status", "body", "then"), LEFT_OUT, ids=[row[0] for row in LEFT_OUT]
)
def test_it_is_asked_without_what_the_server_does_not_take(source, sent, status, body, then):
    adjust = Adjustments()
    assert adjust.learn(sent, of_status(status, {}, body)) and adjust.apply(sent) == then
    notes = list(adjust.notes)
    assert notes and adjust.learn(sent, of_status(status, {}, body)) and adjust.notes == notes, (
        "another worker sent the same before"
    )
    assert adjust.warnings == ["seed"] * (sent is BODY and "seed" not in then)


def test_the_same_words_with_status_200_are_learnt_too():
    adjust = Adjustments()
    failure = of_error(
        {
            "object": "error",
            "message": "Unsupported parameter: 'seed'",
            "type": "BadRequestError",
            "code": 400,
        }
    )
    assert failure is not None and adjust.learn(BODY, failure) and "seed" not in adjust.apply(BODY)


@pytest.mark.parametrize(
    ("sent", "message", "named"),
    [
        (
            {**BODY, "temperature": 0},
            (
                "Unsupported value: 'temperature' does not support 0 with this model. Only the "
                "default (1) value is supported."
            ),
            "temperature",
        ),
        (
            {**BODY, "top_p": 0.9},
            (
                "`temperature` and `top_p` cannot both be specified for this model. Please "
                "use only one."
            ),
            "top_p",
        ),
        (
            {**BODY, "top_k": 5},
            'Invalid JSON payload received. Unknown name "top_k": Cannot find field.',
            "top_k",
        ),
        (
            {**BODY, "presence_penalty": 0.5},
            "Unsupported parameter: 'presence_penalty' is not supported with this model.",
            "presence_penalty",
        ),
        (BODY, "Input validation error: `temperature` must be strictly positive", "temperature"),
    ],
)
def test_what_changes_the_answers_is_never_left_out_without_a_word(sent, message, named):
    """The sentence names the parameter and the option, and blames neither address nor key."""
    with serving(lambda c: c.json(openai(message), 400)) as server:
        config = EndpointConfig(server.url, "m", first_wait=0.01, longest_wait=0.02)
        request = ChatRequest([{"role": "user", "content": "a"}], gone(sent, "messages"))
        with pytest.raises(InputError, match=f"does not take the parameter '{named}'") as error:
            Endpoint(config).chat_many([request])
        assert len(server.calls) == 1, "asked once: the same words would come again"
    assert f"--{named.replace('_', '-')}" in str(error.value) and message[:60] in str(error.value)
    assert "address" not in str(error.value) and "key" not in str(error.value)


def test_words_about_other_things_are_no_refusal_of_a_parameter():
    """A limit that is too small names max_completion_tokens as well; a content filter
    may name anything."""
    for message in (
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 4096. This model's maximum "
            "context length is 2048 tokens"
        ),
        "max_tokens is too large: 5000. This model supports at most 4096 completion tokens",
        (
            "Could not finish the message because max_tokens or model output limit was reached. "
            "Please try again with higher max_tokens."
        ),
        "The response was filtered: content_filter; seed and temperature are not supported reasons",
        "Please stop: invalid message 3",
    ):
        adjust = Adjustments()
        assert (
            not adjust.learn({**BODY, "stop": ["#"]}, of_status(400, {}, openai(message)))
            and not adjust.notes
        ), message
    for status in (401, 403, 429):
        assert not Adjustments().learn(
            BODY, of_status(status, {}, openai("Unsupported parameter: 'seed'"))
        )


def test_a_seed_is_left_out_with_a_warning_once_and_the_record_says_so(caplog, tmp_path):
    def answer(call: Call) -> None:
        call.json(
            openai("Unknown parameter: 'seed'.", "seed"), 400
        ) if "seed" in call.body else call.say("fine")

    requests = [
        ChatRequest([{"role": "user", "content": t}], {"seed": 1, "temperature": 0.7})
        for t in "abc"
    ]
    with serving(answer) as server, caplog.at_level(logging.WARNING, "veneer"):
        how = EndpointConfig(
            server.url, "stand-in", concurrency=1, cache=tmp_path / "replies.jsonl"
        )
        endpoint = Endpoint(how)
        replies = endpoint.chat_many(requests)
        assert [r.text for r in replies] == ["fine"] * 3 and [
            list(r.left_out) for r in replies
        ] == [["seed"]] * 3
        assert len(server.calls) == 4 and endpoint.record() == {
            "models": ["stand-in-1"],
            "adjusted": ["seed left out"],
        }
        again = Endpoint(how)
        assert (
            all(r.cached for r in again.chat_many(requests)) and again.record() == endpoint.record()
        ), "the cache knows it too"
    (line,) = [r.getMessage() for r in caplog.records]
    assert "does not take seed" in line and "Unknown parameter" in line


@pytest.mark.parametrize(
    ("may", "temperature", "calls"),
    [(SAMPLED, 0, 2), (("seed",), 1, 2), (("seed",), 0, 1), (("seed",), 0.7, 1)],
)
def test_a_temperature_is_left_out_only_where_the_caller_allows_it_or_it_is_the_default(
    may, temperature, calls, caplog
):
    """A judge has no other way (gpt-5 and its like take none); 1 is what such a
    model does by itself."""
    error = openai(
        "Unsupported parameter: 'temperature' is not supported with this model.",
        "temperature",
        "unsupported_parameter",
    )
    with serving(
        lambda c: c.json(error, 400) if "temperature" in c.body else c.say("fine")
    ) as server:
        endpoint = Endpoint(EndpointConfig(server.url, "m", may_leave_out=may))
        request = ChatRequest([{"role": "user", "content": "a"}], {"temperature": temperature})
        if calls == 2:
            assert endpoint.chat_many([request])[0].text == "fine" and "temperature" in caplog.text
        else:
            with pytest.raises(InputError, match="--temperature 1"):
                endpoint.chat_many([request])
        assert len(server.calls) == calls


def test_a_refused_parameter_keeps_its_fault_among_others():
    failure = of_status(400, {}, openai("Unsupported parameter: 'top_p'", "top_p"))
    assert not Adjustments().learn({**BODY, "top_p": 0.5}, failure)
    assert (failure.fault, failure.parameter) == (Fault.PARAMETER, "top_p")
