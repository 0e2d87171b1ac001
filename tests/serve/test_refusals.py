"""What is not answered: each refusal has OpenAI's shape, names the field, and lets nothing
of the inside out."""

from __future__ import annotations

import copy
import json
import socket
import string

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from tiny import tiny
from veneer.foundation.errors import InputError
from veneer.foundation.reading.turns import chat_turns
from veneer.models.formats import ChatFormat
from veneer.serve.errors import ApiError
from veneer.serve.guard import Guard, is_local
from veneer.serve.requests import Limits
from veneer.serve.schema import ChatBody, TextBody, read_request
from veneer.serve.served import Served
from veneer.systems.system import System
from veneer_server import serving

CHAT = {"model": "base", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
TEXT = {"model": "base", "prompt": "hi", "max_tokens": 2}


def test_parts_are_joined_as_in_a_prompt_file():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    message = {"role": "user", "content": parts}
    read = read_request(ChatBody, json.dumps({**CHAT, "messages": [message]}).encode())
    assert [m.turn() for m in read.messages] == list(chat_turns("here", [message]))


def test_a_refusal_of_an_earlier_turn_is_its_content():
    """As OpenAI's client gives it back: content null, and the text in a field of its own."""
    turn = {"role": "assistant", "content": None, "refusal": "No.", "tool_calls": None}
    body = {**CHAT, "messages": [*CHAT["messages"], turn, *CHAT["messages"]]}
    read = read_request(ChatBody, json.dumps(body).encode())
    assert [m.content for m in read.messages] == ["hi", "No.", "hi"]


@pytest.mark.parametrize(
    ("path", "change", "status", "param"),
    [
        ("chat/completions", {"model": "gpt-4"}, 404, "model"),
        ("chat/completions", {"model": None}, 400, "model"),
        ("chat/completions", {"messages": []}, 400, "messages"),
        ("chat/completions", {"messages": "hi"}, 400, "messages"),
        (
            "chat/completions",
            {"messages": [{"role": "tool", "content": "x"}]},
            400,
            "messages.0.role",
        ),
        (
            "chat/completions",
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            400,
            "messages.0.content",
        ),
        ("chat/completions", {"messages": [{"role": "user"}]}, 400, "messages.0.content"),
        (
            "chat/completions",
            {
                "messages": [
                    {"role": "assistant", "content": None, "tool_calls": [{"type": "function"}]},
                    *CHAT["messages"],
                ]
            },
            400,
            "messages.0",
        ),
        ("chat/completions", {"messages": [{"role": "user", "content": "\ud800"}]}, 400, None),
        (
            "chat/completions",
            {"messages": [{"role": "system", "content": "x"}, *CHAT["messages"]]},
            400,
            "messages",
        ),
        ("chat/completions", {"tools": [{"type": "function"}]}, 400, "tools"),
        ("chat/completions", {"functions": [{}]}, 400, "functions"),
        ("chat/completions", {"tool_choice": "required"}, 400, "tool_choice"),
        ("chat/completions", {"response_format": {"type": "json_object"}}, 400, "response_format"),
        ("chat/completions", {"nonsense": 1}, 400, "nonsense"),
        *[
            ("chat/completions", {name: value}, 400, name)
            for name, value in {
                "web_search_options": {},  # an empty object asks for the search
                "response_format": {"type": "json_schema", "json_schema": {"name": "x"}},
                "prediction": {"type": "content", "content": "x"},
                "audio": {"voice": "alloy", "format": "wav"},
                "modalities": ["text", "audio"],
                "moderation": {},
                "reasoning_effort": "low",
                "verbosity": "low",
            }.items()
        ],
        (
            "chat/completions",
            {
                "metadata": {"a": "b"},
                "store": True,
                "service_tier": "flex",
                "prompt_cache_options": {"ttl": "30m"},
                "modalities": ["text"],
                "parallel_tool_calls": False,
                # what vLLM takes where nobody says otherwise
                "add_generation_prompt": True,
                "continue_final_message": False,
                "echo": False,
                "top_logprobs": 0,
                "skip_special_tokens": True,
                "min_tokens": 0,
                "response_format": {"type": "text"},
                "tools": [],
                "stream_options": None,
            },
            200,
            None,
        ),
        (
            "chat/completions",
            {"stream": True, "stream_options": {"continuous_usage_stats": True}},
            400,
            "stream_options",
        ),
        *[
            ("chat/completions", {"messages": messages}, 400, param)
            for messages, param in [
                # the beginning of an answer: continued by some servers, answered by others
                ([*CHAT["messages"], {"role": "assistant", "content": "Sure,"}], "messages"),
                ([{"role": "user", "content": "hi", "images": ["aGk="]}], "messages.0"),
                (
                    [
                        *CHAT["messages"],
                        {"role": "assistant", "content": "x", "prefix": True},
                        *CHAT["messages"],
                    ],
                    "messages.1",
                ),
                (
                    [
                        *CHAT["messages"],
                        {"role": "assistant", "content": None, "audio": {"id": "x"}},
                        *CHAT["messages"],
                    ],
                    "messages.1",
                ),
                (
                    [{"role": "user", "content": [{"type": "text", "text": "a", "lang": "de"}]}],
                    "messages.0.content",
                ),
            ]
        ],
        ("chat/completions", {"logit_bias": {"05": 1}}, 400, "logit_bias"),
        ("chat/completions", {"top_logprobs": 2}, 400, "top_logprobs"),
        ("chat/completions", {"logprobs": True, "top_logprobs": 21}, 400, "top_logprobs"),
        ("chat/completions", {"logprobs": 3}, 400, "logprobs"),
        ("chat/completions", {"max_completion_tokens": 3}, 400, "max_tokens"),
        ("chat/completions", {"max_tokens": 0}, 400, "max_tokens"),
        (
            "chat/completions",
            {"max_tokens": None, "max_completion_tokens": 65},
            400,
            "max_completion_tokens",
        ),
        ("chat/completions", {"continue_final_message": True}, 400, "continue_final_message"),
        ("chat/completions", {"add_generation_prompt": False}, 400, "add_generation_prompt"),
        ("chat/completions", {"echo": True}, 400, "echo"),
        ("chat/completions", {"min_tokens": 3}, 400, "min_tokens"),
        ("chat/completions", {"max_tokens": 65}, 400, "max_tokens"),
        ("chat/completions", {"temperature": -1}, 400, "temperature"),
        ("chat/completions", {"temperature": "0.5"}, 400, "temperature"),
        ("chat/completions", {"temperature": True}, 400, "temperature"),
        ("chat/completions", {"top_p": 0}, 400, "top_p"),
        ("chat/completions", {"n": 0}, 400, "n"),
        ("chat/completions", {"n": 9}, 400, "n"),
        ("chat/completions", {"seed": 2**65}, 400, "seed"),
        ("chat/completions", {"stop": ""}, 400, "stop"),
        ("chat/completions", {"stop": [1]}, 400, "stop"),
        ("chat/completions", {"stop": ["a"] * 33}, 400, "stop"),
        ("chat/completions", {"logit_bias": {"x": 1}}, 400, "logit_bias"),
        ("chat/completions", {"logit_bias": {"999999": 1}}, 400, "logit_bias"),
        ("chat/completions", {"stream_options": {"include_usage": True}}, 400, "stream_options"),
        ("completions", {"prompt": []}, 400, "prompt"),
        ("completions", {"prompt": [1, "a"]}, 400, "prompt"),
        ("completions", {"prompt": [[]]}, 400, "prompt"),
        ("completions", {"prompt": [-1]}, 400, "prompt"),
        ("completions", {"prompt": [True]}, 400, "prompt"),
        ("completions", {"prompt": [10**7]}, 400, "prompt"),
        ("completions", {"prompt": "a " * 400}, 400, "prompt"),
        ("completions", {"prompt": ["a"] * 9}, 400, "prompt"),
        ("completions", {"prompt": ["a b c d e f g h"] * 8, "max_tokens": 1}, 200, None),
        ("completions", {"max_tokens": 0}, 400, "max_tokens"),
        ("completions", {"suffix": "x"}, 400, "suffix"),
        ("completions", {"best_of": 3}, 400, "best_of"),
        ("completions", {"user": "me", "suffix": None, "best_of": 1, "store": False}, 200, None),
    ],
)
def test_a_wrong_field_is_named(small, path, change, status, param):
    body = {**(CHAT if path.startswith("chat") else TEXT), **change}
    code, reply, _ = small.ask(
        f"/v1/{path}", {k: v for k, v in body.items() if v is not None or k == "suffix"}
    )
    assert code == status, reply
    if status != 200:
        assert set(reply) == {"error"} and set(reply["error"]) == {
            "message",
            "type",
            "param",
            "code",
        }
        assert (
            reply["error"]["param"] == param
            and reply["error"]["message"]
            and "\n" not in reply["error"]["message"]
        )


@pytest.fixture(scope="module")
def small():
    """A tiny model with tight limits."""
    with serving(
        [Served(System.of_model(tiny(max_position_embeddings=256)))],
        limits=Limits(max_tokens=64, max_rows=8, max_body=10_000),
    ) as running:
        yield running


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[1]", b'"x"', b"null", b'{"model": NaN}', b"\xff", b"[" * 5000, b'{"a":' * 1500],
)
def test_a_body_that_is_no_object(small, raw):
    status, reply, _ = small.ask("/v1/chat/completions", raw)
    assert status == 400 and reply["error"]["type"] == "invalid_request_error"


def test_too_large_wrong_kind_wrong_path(small):
    status, reply, _ = small.ask("/v1/completions", b"x" * 10_001)
    assert status == 413 and "10000 bytes" in reply["error"]["message"]
    status, reply, _ = small.ask("/v1/completions", TEXT, Content_Type="text/plain")
    assert status == 415 and "application/json" in reply["error"]["message"]
    status, reply, _ = small.ask("/v1/embeddings", TEXT)
    assert status == 404 and "/v1/chat/completions" in reply["error"]["message"]
    status, reply, _ = small.ask("/v1/chat/completions")
    assert status == 405 and "error" in reply
    assert small.ask("/v1/models/")[1] == small.ask("/v1/models")[1]
    assert small.ask("/v1/models/none")[0] == 404 and small.ask("/health")[1]["status"] == "ok"


def test_a_body_without_a_length_is_counted(small):
    """Chunked transfer says nothing of its size beforehand."""
    host, port = small.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as wire:
        lines = (
            "POST /v1/completions HTTP/1.1",
            f"Host: {host}",
            "Content-Type: application/json",
            "Transfer-Encoding: chunked",
        )
        wire.sendall("\r\n".join((*lines, "", "")).encode())
        wire.sendall(b"2ee0\r\n" + b"x" * 12_000 + b"\r\n")
        assert wire.recv(100).startswith(b"HTTP/1.1 413")


def test_key_host_and_origin():
    served = [Served(System.of_model(tiny()))]
    with serving(served, guard=Guard(key="a secret key", hosts=("127.0.0.1", "my.host"))) as server:
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "Basic a secret key"},
            {"Authorization": "Bearer \xe9"},
        ):
            status, reply, replied = server.ask("/v1/models", **headers)
            assert (
                status == 401
                and "secret" not in json.dumps(reply)
                and replied["www-authenticate"] == "Bearer"
            )
        with pytest.raises(openai.AuthenticationError):
            openai.OpenAI(base_url=server.url, api_key="wrong", max_retries=0).models.list()
        right = {"Authorization": "Bearer a secret key"}
        assert (
            openai.OpenAI(base_url=server.url, api_key="a secret key").models.list().data[0].id
            == "base"
        )
        assert server.ask("/health")[0] == 200, "whoever watches over the server needs no key"
        assert server.ask("/v1/models", **right, Host="my.host:80")[0] == 200
        assert server.ask("/v1/models", **right, Host="10.1.2.3:80")[0] == 200, (
            "an address cannot be rebound"
        )
        bad = [
            {"Host": "evil.example"},
            {"Origin": "http://evil.example"},
            {"Origin": "http://9.9.9.9"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:3000"},
            {"Origin": "http://127.0.0.1"},
            {"Origin": f"ftp://{server.address.removeprefix('http://')}"},
            {"Origin": "http://[::"},
            {"Origin": "http://127.0.0.1:x"},
            {"Host": "[::"},
            {"Host": "evil.example@127.0.0.1"},
        ]
        for headers in bad:
            status, reply, replied = server.ask("/v1/models", **right, **headers)
            assert status in (400, 403) and not any(k.startswith("access-control") for k in replied)
        assert server.ask("/v1/models", **right, Origin=server.address)[0] == 200
        for origin in ("http://my.host", "http://my.host:80", "https://my.host:80"):
            assert server.ask("/v1/models", **right, Host="my.host:80", Origin=origin)[0] == 200
        assert (
            server.ask("/v1/models", **right, Host="my.host", Origin="https://my.host")[0] == 200
        ), "a proxy that ends TLS"
        assert server.ask("/health", Host="evil.example")[0] == 403


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
    ],
)
def test_who_can_reach_an_address(host, local):
    assert is_local(host) is local


@given(st.text(), st.text())
def test_no_guess_passes_the_guard(host, given_key):
    guard = Guard("k\u00e9y", ("localhost",))
    for at in (host, "localhost"):
        headers = Headers(
            raw=[(b"host", at.encode()), (b"authorization", f"Bearer {given_key}".encode())]
        )
        if given_key.strip() != "k\u00e9y":
            with pytest.raises(ApiError):
                guard.check(headers, "/v1/models")
    guard.check(
        Headers(raw=[(b"host", b"localhost:1"), (b"authorization", "bearer k\u00e9y".encode())]),
        "/v1/models",
    )


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    sorted({*TextBody.model_fields, *ChatBody.model_fields, "tools", "user"})
) | st.text(string.ascii_lowercase)


@given(st.sampled_from([ChatBody, TextBody]), st.dictionaries(FIELDS, VALUES, max_size=5))
def test_any_body_is_read_or_refused(kind, fields):
    body = {**(CHAT if kind is ChatBody else TEXT), **fields}
    try:
        read = read_request(kind, json.dumps(body).encode())
    except ApiError as error:
        assert error.status == 400 and error.message and json.dumps(error.body())
    else:
        assert read.model == body["model"] and read.choices >= 1


@pytest.mark.parametrize(
    ("turns", "sentence"), [(["system", "user"], "b a"), (["user", "assistant", "user"], "b a b")]
)
def test_conversations_for_a_system_that_reads_plain_text(turns, sentence):
    """Refused, or joined where the server was told so: the same as one message of
    the joined text."""
    lm = tiny()
    systems = [
        Served(System.of_model(lm, name="one")),
        Served(System.of_model(lm, name="joined"), join_turns=True),
    ]
    messages = [{"role": r, "content": f"the {r} says"} for r in turns]
    joined = [{"role": "user", "content": "\n\n".join(m["content"] for m in messages)}]
    with serving(systems) as server:
        status, refusal, _ = server.ask(
            "/v1/chat/completions", {**CHAT, "model": "one", "messages": messages}
        )
        assert (
            status == 400
            and refusal["error"]["param"] == "messages"
            and "--join-turns" in refusal["error"]["message"]
        )
        words = {**CHAT, "max_tokens": 8, "temperature": 0}
        _, a, _ = server.ask(
            "/v1/chat/completions", {**words, "model": "joined", "messages": messages}
        )
        _, b, _ = server.ask("/v1/chat/completions", {**words, "model": "one", "messages": joined})
        assert a["choices"] == b["choices"] and a["usage"] == b["usage"]


def test_a_fault_inside_is_a_500_without_its_words(caplog):
    lm = tiny(seed=3)
    lm.name = "/home/somebody/models/broken"
    served = Served(System.of_model(lm))
    lm.head.weight.data[5] = float("nan")
    with serving([served]) as server:
        for path, body in (
            ("chat/completions", CHAT),
            ("completions", {**TEXT, "echo": True, "logprobs": 1}),
        ):
            status, reply, _ = server.ask(f"/v1/{path}", body)
            assert status == 500 and reply["error"]["code"] == "server_error"
            assert "somebody" not in json.dumps(reply) and "Traceback" not in json.dumps(reply)
        client = openai.OpenAI(base_url=server.url, api_key="x", max_retries=0)
        with pytest.raises(openai.APIError, match="server failed"):
            list(client.chat.completions.create(stream=True, **CHAT))
        lm.head.weight.data[5] = 0.0
        assert server.ask("/v1/chat/completions", CHAT)[0] == 200, "the worker lives on"
    assert "not finite" in caplog.text, "the log says what it was"


def test_overload_is_a_503_with_a_time_to_come_back():
    with serving([Served(System.of_model(tiny()))], most_waiting=2) as server:
        status, reply, headers = server.ask("/v1/completions", {**TEXT, "n": 3})
        assert (
            status == 503
            and headers["retry-after"] == "1"
            and reply["error"]["code"] == "overloaded"
        )
        assert server.ask("/v1/completions", {**TEXT, "n": 2})[0] == 200


def test_the_context_of_a_chat_bounds_its_answer():
    """Without max_tokens an answer has what the context leaves."""
    lm = tiny(max_position_embeddings=40)
    with serving([Served(System.of_model(lm))]) as server:
        used = server.ask(
            "/v1/chat/completions",
            {"model": "base", "messages": CHAT["messages"], "logit_bias": {"1": -100}},
        )[1]["usage"]
        assert used["total_tokens"] <= 40
        status, reply, _ = server.ask("/v1/completions", {**TEXT, "max_tokens": 39})
        assert status == 400 and reply["error"]["code"] == "context_length_exceeded"


def test_facts_hide_where_a_model_lies(tmp_path):
    lm = tiny()
    for name, shown in (
        (str(tmp_path), tmp_path.name),
        (f"{tmp_path}@/no/such/base", f"{tmp_path.name}@base"),
        ("org/model", "org/model"),
        ("lab:base", "lab:base"),
    ):
        lm.name = name
        facts = Served(System.of_model(lm)).facts()
        assert facts["system"]["model"] == shown and str(tmp_path.parent) not in json.dumps(facts)


def test_a_template_that_needs_a_system_text_is_served():
    """Requests bring it; without one, a request is told what its template needs."""
    lm = tiny("llama")
    needs = "{% if messages[0].role != 'system' %}{{ raise_exception('no system') }}{% endif %}"
    lm.tokenizer = copy.deepcopy(lm.tokenizer)
    lm.tokenizer.chat_template = needs + lm.tokenizer.chat_template
    served = Served(System("aligned", lm, ChatFormat(), lm.stop_ids))
    ask = {"role": "user", "content": "Hi there"}
    with pytest.raises(ApiError, match="give a system text") as error:
        served.of_messages([ask])
    assert error.value.status == 400
    ids = served.of_messages([{"role": "system", "content": "Be kind."}, ask])[0]
    assert "Be kind." in lm.tokenizer.decode(ids)
    lm.tokenizer.chat_template = "{{ raise_exception('never') }}"
    with pytest.raises(InputError, match="never"):
        Served(System("aligned", lm, ChatFormat(), lm.stop_ids))
