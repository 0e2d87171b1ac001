"""Whose fault an error is: the bodies of public reports, the waits that servers ask for, and the
sentence that a user reads."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from bodies import FILTERED, INSIDE, LONG, PASSING, REPORTED

from endpoint_requests import ask, config
from faulty_server import Call, serving
from veneer.endpoint import Endpoint, EndpointConfig
from veneer.endpoint.backoff import LONGEST_WAIT, requested_seconds
from veneer.endpoint.failure import Failure, Fault, of_error, of_status
from veneer.endpoint.words import one_line, read_body, sentence
from veneer.foundation.errors import InputError, VeneerError

pytest.importorskip("openai", reason="needs the package openai: pip install 'veneer[openai]'")


def kind_of(failure: Failure) -> str:
    if failure.filtered or failure.long:
        assert failure.own and not failure.passing and not failure.hopeless
        return FILTERED if failure.filtered else LONG
    if failure.own:
        return "own"
    if failure.fault is not Fault.NONE:
        assert not failure.passing, "what a user must mend is not asked again"
        return failure.fault
    assert failure.passing and not failure.hopeless
    return "steady" if failure.steady else PASSING


@pytest.mark.parametrize(
    ("source", "status", "body", "kind"), REPORTED, ids=[f"{r[0]}-{r[1]}" for r in REPORTED]
)
def test_error_bodies_of_public_reports(source, status, body, kind):
    failure = of_status(status, {}, read_body(body.encode()) if isinstance(body, str) else body)
    assert kind_of(failure) == kind and failure.message.startswith(f"HTTP {status}")


@pytest.mark.parametrize(("source", "body", "kind"), INSIDE, ids=[r[0] for r in INSIDE])
def test_error_objects_with_status_200(source, body, kind):
    failure = of_error(body)
    assert failure is not None and kind_of(failure) == kind


@pytest.mark.parametrize(
    "error", [None, {}, "", [], {"message": "", "type": "", "param": "", "code": None}, {"code": 0}]
)
def test_an_error_that_is_empty_is_none(error):
    """one-api writes such a form beside every reply."""
    assert of_error({"choices": [{"message": {"content": "a"}}], "error": error}) is None
    assert of_error({"data": [{"embedding": [1.0]}], "error": error}) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"message": "a"}}, "a"),
        ({"error": "a"}, "a"),
        ({"detail": "a"}, "a"),
        ({"message": "a"}, "a"),
        ([{"error": {"message": "a"}}], "a"),
        (
            {
                "detail": [
                    {"loc": ["body", "seed"], "msg": "Extra inputs"},
                    {"loc": ["body", "n"], "msg": "b"},
                ]
            },
            "seed: Extra inputs; n: b",
        ),
        (
            {
                "error": {
                    "message": "Provider returned error",
                    "metadata": {"raw": '{"error": {"message": "seed is unknown"}}'},
                }
            },
            "Provider returned error: seed is unknown",
        ),
        ({"error": {"message": '{"message": "inner", "code": 3}'}}, "inner"),
        ("<html><title>502</title><p>Bad &amp; gone</p></html>", "502Bad & gone"),
        ({"errors": [{"message": "a", "code": 7}]}, "a"),
        (None, ""),
        ({}, ""),
        (7, "7"),
    ],
)
def test_the_servers_words_are_found(body, expected):
    message = sentence(read_body(body.encode()) if isinstance(body, str) else body)
    assert message.replace(" ", "") == expected.replace(" ", "")


def test_words_are_one_line_short_printable_and_without_the_key():
    text = one_line("bad key sk-secret-123\n\x1b[31mred\x00 " + "x" * 1000, "sk-secret-123")
    assert text.startswith("bad key *** [31mred x") and len(text) == 300 and text.isprintable()
    echo = (
        "upstream refused sk-proj-abcdefghijkl123 and Bearer abc.def.ghi123 and "
        "hf_ABCDEFGHIJKLMNOP, the task-oriented-evaluation"
    )
    assert (
        one_line(echo)
        == "upstream refused *** and Bearer *** and ***, the task-oriented-evaluation"
    )
    deep: dict = {}
    for _ in range(10_000):
        deep = {"error": deep}
    assert sentence(deep) == ""


NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": formatdate(NOW + 30, usegmt=True)}, 30.0),
        ({"retry-after": formatdate(NOW - 30, usegmt=True)}, 0.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1m30s"}, 90.0),
        ({"retry-after": str(int(NOW + 5))}, 5.0),
        ({}, None),
        (
            {
                "x-ratelimit-reset-requests": "6m0s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "2s",
                "x-ratelimit-remaining-tokens": "90",
            },
            360.0,
        ),
        ({"x-ratelimit-reset": str(int((NOW + 60) * 1000)), "x-ratelimit-remaining": "0"}, 60.0),
        ({"x-ratelimit-reset": "60", "x-ratelimit-remaining": "3"}, None),
    ],
)
def test_waits_that_servers_ask_for(headers, expected):
    seconds = requested_seconds(headers, NOW)
    assert seconds == (None if expected is None else pytest.approx(expected, abs=1.0))


def test_a_wait_inside_the_body_is_read():
    headers = {
        "X-RateLimit-Reset": str(int((time.time() + 3 * 3600) * 1000)),
        "X-RateLimit-Remaining": "0",
    }
    sentence = of_error(
        {"error": {"message": "free-models-per-day", "code": 429, "metadata": {"headers": headers}}}
    )
    assert (
        sentence is not None
        and sentence.wait is not None
        and sentence.wait > LONGEST_WAIT
        and sentence.passing
    )
    sentence = of_status(
        429, {}, {"error": {"message": "Rate limit reached. Please try again in 20s."}}
    )
    assert sentence.wait == 20.0


def test_a_server_that_asks_to_wait_for_hours_is_not_waited_for():
    with serving(lambda c: c.error(429, "daily limit", Retry_After="7200")) as server:
        with pytest.raises(VeneerError, match="daily limit, and to wait 7200 s"):
            Endpoint(config(server.url)).chat_many(ask("a"))
        assert len(server.calls) == 1


# (error, what the sentence says, what it must not blame, exit code)
SENTENCES = [
    (
        (401, "no such key"),
        "put the key into the environment variable VENEER_TEST_KEY",
        ("address",),
        2,
    ),
    ((402, "Insufficient credits"), "no credit or quota left", ("check the", "put the key"), 1),
    (
        (404, "The model `stand-in` does not exist"),
        "check the model's name, 'stand-in'",
        ("address", "VENEER_TEST_KEY"),
        2,
    ),
    ((404, ""), "check the address", ("VENEER_TEST_KEY", "model's name"), 2),
    (
        (400, "Messages must alternate"),
        "its words say what to change",
        ("address", "VENEER_TEST_KEY", "model's name"),
        2,
    ),
    (
        (400, "max_tokens is too large: 9. This model supports at most 4 completion tokens"),
        "--max-new-tokens",
        ("address", "model's"),
        2,
    ),
]


@pytest.mark.parametrize(
    ("error", "says", "blames", "code"), SENTENCES, ids=[str(s[0]) for s in SENTENCES]
)
def test_the_sentence_blames_what_is_at_fault(error, says, blames, code, monkeypatch):
    monkeypatch.delenv("VENEER_TEST_KEY", raising=False)
    with serving(lambda c: c.error(*error)) as server:
        with pytest.raises(VeneerError, match=says) as caught:
            Endpoint(config(server.url, concurrency=1)).chat_many(ask("a"))
        assert len(server.calls) == 1, "the same would come again"
    mend = str(caught.value).rpartition("; ")[2]
    assert error[1] in str(caught.value) and caught.value.exit_code == code
    assert not any(word in mend for word in blames)


def test_a_wrong_name_lists_what_the_endpoint_serves():
    with (
        serving(
            lambda c: c.error(404, "model not found"),
            models=["alpha", "stand-in-2", *(f"m{i}" for i in range(20))],
        ) as server,
        pytest.raises(
            InputError,
            match=r"it serves 'stand-in-2', 'alpha', .* and 14 more; give one of these names",
        ),
    ):
        Endpoint(config(server.url)).chat_many(ask("a"))


def test_an_address_without_v1_is_refused_with_the_right_one():
    """Ollama and others answer 404 there, LM Studio an error object with status 200, web
    front ends a page."""
    root = {
        "404": lambda c: c.raw(b"404 page not found", 404, "text/plain"),
        "200": lambda c: c.json(
            {"error": "Unexpected endpoint or method. (POST /chat/completions)"}
        ),
        "page": Call.html,
    }
    for name, say in root.items():
        with serving(say, models=["a"]) as server:
            with pytest.raises(
                InputError, match=f"an endpoint answers at {server.url}; give that address"
            ):
                Endpoint(config(server.url.removesuffix("/v1"))).chat_many(ask("a"))
            assert len(server.calls) <= 2, name


def test_a_redirect_that_would_lose_the_request_names_the_other_address():
    with serving(
        lambda c: c.raw(b"", 301, Location="https://elsewhere.example/v1/chat/completions")
    ) as server:
        with pytest.raises(
            InputError,
            match=r"HTTP 301: it redirects to https://elsewhere\.example/v1/chat/completions",
        ):
            Endpoint(config(server.url)).chat_many(ask("a"))
        assert len(server.calls) == 1


def test_a_redirect_that_keeps_the_request_is_followed():
    with serving(lambda c: c.say("there")) as there:
        moved = there.url + "/chat/completions"
        with serving(lambda c: c.raw(b"", 308, Location=moved)) as server:
            assert Endpoint(config(server.url)).chat_many(ask("a"))[0].text == "there"


@pytest.mark.parametrize(
    "body",
    [
        b"OK",
        b"<html><body>Welcome</body></html>",
        b'{"choices": []}',
        b'{"choices": null}',
        b'["a"]',
        b'{"ok": 1}',
    ],
)
def test_what_cannot_be_read_twice_in_a_row_is_not_asked_for_a_third_time(body):
    with serving(lambda c: c.raw(body)) as server:
        with pytest.raises(VeneerError):
            Endpoint(config(server.url, retries=5)).chat_many(ask("a"))
        assert len(server.calls) == 2


@pytest.mark.parametrize(
    "end", ["/chat/completions", "/chat/completions/", "/completions", "/models", "/embeddings"]
)
def test_an_address_that_names_the_operation_is_refused_with_the_right_one(end):
    with pytest.raises(InputError, match=r"give it without that: http://h:8000/v1$"):
        EndpointConfig(f"http://h:8000/v1{end}", "m")


def test_addresses_that_are_right_or_none():
    for url in (
        "http://h/v1/",
        "http://[::1]:8000/v1",
        "https://h/openai/v1",
        "http://h",
        "http://h/generate",
    ):
        EndpointConfig(url, "m")
    with pytest.raises(InputError, match="no endpoint's address"):
        EndpointConfig("http://h:99999/v1", "m")


def test_a_trailing_slash_and_ipv6_are_read():
    with serving(lambda c: c.say("fine")) as server:
        assert Endpoint(config(server.url + "/")).chat_many(ask("a"))[0].text == "fine"
    try:
        there = serving(lambda c: c.say("six"), host="::1")
        with there as server:
            assert (
                "[::1]" in server.url
                and Endpoint(config(server.url)).chat_many(ask("a"))[0].text == "six"
            )
    except OSError:
        pytest.skip("this machine has no IPv6 on loopback")


def test_a_key_that_no_header_takes_is_one_sentence(monkeypatch):
    monkeypatch.setenv("VENEER_TEST_KEY", "sk-abc…def")
    with pytest.raises(
        InputError, match="VENEER_TEST_KEY holds a character that no key has"
    ) as error:
        Endpoint(config("http://h/v1"))
    assert "abc" not in str(error.value)


def test_a_proxy_of_the_environment_is_named_where_nothing_answers(monkeypatch):
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(lambda c: c.say("x")) as server:
        dead = server.port
    monkeypatch.setenv("HTTP_PROXY", f"http://me:sk-secret@127.0.0.1:{dead}")
    monkeypatch.setenv("http_proxy", f"http://me:sk-secret@127.0.0.1:{dead}")
    with pytest.raises(
        VeneerError, match=r"through the proxy 127\.0\.0\.1 of the environment"
    ) as error:
        Endpoint(config("http://model.example/v1", retries=0)).chat_many(ask("a"))
    assert "sk-secret" not in str(error.value)
    monkeypatch.setenv("http_proxy", "nonsense://x")
    monkeypatch.setenv("HTTP_PROXY", "nonsense://x")
    with pytest.raises(InputError, match="NO_PROXY"):
        Endpoint(config("http://model.example/v1"))
