"""The client against a server that misbehaves on purpose: nothing lost, nothing asked twice, every
failure counted."""

from __future__ import annotations

import builtins
import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endpoint_requests import ask
from faulty_server import Call, completion, serving
from veneer.endpoint import ChatRequest, Endpoint, EndpointConfig
from veneer.endpoint.backoff import wait
from veneer.endpoint.cache import Cache
from veneer.endpoint.reply import read_reply
from veneer.foundation.errors import InputError, MissingExtra, VeneerError

pytest.importorskip("openai", reason="needs the package openai: pip install 'veneer[openai]'")


def config(url: str, **words) -> EndpointConfig:
    quick = {"first_wait": 0.02, "longest_wait": 0.05, "timeout": 5.0, "key_env": "VENEER_TEST_KEY"}
    return EndpointConfig(url, "stand-in", **{**quick, **words})


def echo(call: Call) -> None:
    call.say(f"heard {call.prompt}")


def test_replies_come_in_the_order_of_the_requests_and_within_the_bound():
    def answer(call: Call) -> None:
        time.sleep(0.03 if call.prompt in ("0", "5") else 0.005)
        echo(call)

    with serving(answer) as server:
        endpoint = Endpoint(config(server.url, concurrency=3))
        events: list[tuple[int, int, str]] = []
        replies = endpoint.chat_many(ask(*map(str, range(12))), lambda *a: events.append(a))
    assert [r.text for r in replies] == [f"heard {i}" for i in range(12)]
    assert server.most <= 3
    assert events[-1] == (12, 12, "replies") and len(events) == 12
    u = endpoint.usage
    assert (u.requests, u.replies, u.retries, u.failed, u.prompt_tokens, u.completion_tokens) == (
        12,
        12,
        0,
        0,
        120,
        48,
    )
    assert u.cost is None and u.models == ["stand-in-1"]


def faults(call: Call) -> None:
    """Each text names what goes wrong with its first request; the second is answered."""
    if call.times > 1 or call.prompt.startswith("fine"):
        return echo(call)
    {
        "429": lambda: call.error(429, "slow down", Retry_After="0.05"),
        "500": lambda: call.error(500, "oops"),
        "503": lambda: call.html(503),
        "timeout": lambda: time.sleep(8.0),
        "reset": call.reset,
        "cut": call.cut,
        "half": call.half,
        "html": call.html,
        "inside": lambda: call.json({"error": {"message": "overloaded", "code": 529}}),
        "inside-text": lambda: call.json({"error": "something"}),
        "no choices": lambda: call.json({"id": "x", "choices": []}),
        "other form": lambda: call.json(["not", "an", "object"]),
        "drip": lambda: call.drip("slowly", 0.06),
        "empty body": lambda: call.raw(b""),
    }[call.prompt]()


FAULTS = [
    "429",
    "500",
    "503",
    "timeout",
    "reset",
    "cut",
    "half",
    "html",
    "inside",
    "inside-text",
    "no choices",
    "other form",
    "drip",
    "empty body",
]


def test_every_fault_is_retried_and_nothing_is_asked_more_often_than_needed():
    texts = [*FAULTS, *(f"fine {i}" for i in range(6))]
    with serving(faults) as server:
        endpoint = Endpoint(config(server.url, timeout=3.0, concurrency=8))
        replies = endpoint.chat_many(ask(*texts))
    assert [r.text for r in replies] == [f"heard {t}" for t in texts]
    assert all(r.error is None for r in replies)
    assert {t: server.seen[t] for t in texts} == {t: 2 if t in FAULTS else 1 for t in texts}
    u = endpoint.usage
    assert (u.requests, u.retries, u.replies, u.failed) == (
        len(texts) + len(FAULTS),
        len(FAULTS),
        len(texts),
        0,
    )


def test_retry_after_is_waited_for():
    with serving(lambda c: echo(c) if c.times > 1 else c.error(429, Retry_After="0.3")) as server:
        Endpoint(config(server.url)).chat_many(ask("a"))
    assert server.at[1] - server.at[0] >= 0.3


def test_equal_requests_are_sent_once_and_the_cache_serves_the_next_run(tmp_path):
    file = tmp_path / "cache" / "replies.jsonl"
    with serving(echo) as server:
        first = Endpoint(config(server.url, cache=file))
        replies = first.chat_many(ask("a", "b", "a", "a"))
        assert [r.text for r in replies] == ["heard a", "heard b", "heard a", "heard a"]
        assert len(server.calls) == 2 and (first.usage.shared, first.usage.cached) == (2, 0)
        again = Endpoint(config(server.url, cache=file))
        assert [r.text for r in again.chat_many(ask("b", "c", "a"))] == [
            "heard b",
            "heard c",
            "heard a",
        ]
        assert server.seen == {"a": 1, "b": 1, "c": 1} and again.usage.cached == 2
        other = Endpoint(EndpointConfig(server.url, "another", cache=file))
        assert not other.chat_many(ask("a"))[0].cached, (
            "another model's reply is never taken for this one's"
        )
        warm = Endpoint(config(server.url, cache=file))
        changed = [ChatRequest(r.messages, {"temperature": 1}) for r in ask("a")]
        assert not warm.chat_many(changed)[0].cached, "other parameters, another request"


@given(cut=st.integers(min_value=0, max_value=400))
@settings(max_examples=40, deadline=None)
def test_a_file_that_was_cut_anywhere_keeps_its_whole_lines(tmp_path_factory, cut):
    file = tmp_path_factory.mktemp("cut") / "replies.jsonl"
    cache = Cache(file)
    for i in range(3):
        cache.put(f"key {i}", {"text": f"ünï {i}"})
    whole = file.read_bytes()
    file.write_bytes(whole[: min(cut, len(whole))])
    reopened = Cache(file)
    kept = whole[: min(cut, len(whole))].count(b"\n")
    assert len(reopened) == max(0, kept - 1)
    for i in range(3):
        reopened.put(f"key {i}", {"text": f"ünï {i}"})
    assert len(Cache(file)) == 3 and file.read_bytes() == whole


def test_a_damaged_line_is_asked_again_and_a_foreign_file_refused(tmp_path):
    file = tmp_path / "replies.jsonl"
    Cache(file).put("a", {"text": "x"})
    with file.open("a") as stream:
        stream.write('{"key": "b", "rep\n[1]\n{"key": 3}\n')
    assert len(Cache(file)) == 1
    for text in ("not mine\n", "not mine", '{"a": 1}\n{"b": 2}\n'):
        (tmp_path / "foreign").write_text(text)
        with pytest.raises(InputError, match="no file of stored replies"):
            Cache(tmp_path / "foreign")
        assert (tmp_path / "foreign").read_text() == text, "somebody else's file is left as it is"


def test_a_dead_endpoint_stops_and_the_same_call_resumes(tmp_path):
    alive = [4]

    def answer(call: Call) -> None:
        if alive[0] <= 0:
            return call.error(500, "gone")
        alive[0] -= 1
        echo(call)

    texts = [str(i) for i in range(20)]
    with serving(answer) as server:
        words = {"cache": tmp_path / "replies.jsonl", "concurrency": 2, "retries": 1}
        with pytest.raises(
            VeneerError,
            match="gave no reply 3 times in a row after 1 retries each, at last HTTP 500: gone",
        ) as error:
            Endpoint(config(server.url, **words)).chat_many(ask(*texts))
        assert not isinstance(error.value, InputError)
        before = len(server.calls)
        assert before <= 4 + 2 * (3 + 2), "a dead endpoint is not asked about everything"
        assert len(Cache(words["cache"])) == 4
        answered = set(list(server.seen)[:4])
        alive[0] = 100
        replies = Endpoint(config(server.url, **words)).chat_many(ask(*texts))
        assert [r.text for r in replies] == [f"heard {t}" for t in texts] and sum(
            r.cached for r in replies
        ) == 4
        assert all(server.seen[t] == 1 for t in answered), "what was answered is not asked again"


def test_nobody_listens():
    with serving(echo) as server:
        url = server.url
    with pytest.raises(
        VeneerError, match="gave no reply once after 1 retries each, at last no connection"
    ):
        Endpoint(config(url, retries=1)).chat_many(ask("a"))


@pytest.mark.parametrize(
    ("status", "says", "expected"),
    [
        (
            401,
            "Incorrect API key provided: sk-very-secret",
            r"HTTP 401: Incorrect API key provided: \*\*\*; check the key in the",
        ),
        (403, "no", "check the key in the environment variable VENEER_TEST_KEY"),
        (
            404,
            "The model `stand-in` does not exist",
            "does not exist; check the model's name, 'stand-in'",
        ),
        (400, "unknown model stand-in", "HTTP 400: unknown model stand-in; check the model's name"),
    ],
)
def test_bad_requests_end_at_once_in_one_sentence(monkeypatch, status, says, expected):
    monkeypatch.setenv("VENEER_TEST_KEY", "sk-very-secret")
    with serving(lambda c: c.error(status, says)) as server:
        with pytest.raises(InputError, match=expected) as error:
            Endpoint(config(server.url, concurrency=2)).chat_many(
                ask("a", "b", "c", "d", "e", "f", "g")
            )
        assert len(server.calls) <= 5
        assert server.headers[0]["authorization"] == "Bearer sk-very-secret"
    assert "very-secret" not in str(error.value) and "\n" not in str(error.value)


def test_a_caller_who_is_slow_to_read_lets_nobody_ask_on():
    """The worker that hears the no stops the others, not the caller who reads it
    half a second later."""

    def answer(call: Call) -> None:
        if call.prompt == "0":
            return echo(call)
        time.sleep(0.03)  # the first reply is read before
        call.error(401, "key revoked")

    with serving(answer) as server:
        with pytest.raises(VeneerError, match="key revoked"):
            Endpoint(config(server.url, concurrency=2)).chat_many(
                ask(*map(str, range(20))), lambda *a: time.sleep(0.5)
            )
        assert len(server.calls) <= 4


def test_without_a_key_the_mend_says_where_it_goes(monkeypatch):
    monkeypatch.delenv("VENEER_TEST_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-house")
    with serving(lambda c: c.error(401, "no key")) as server:
        with pytest.raises(
            InputError, match="put the key into the environment variable VENEER_TEST_KEY"
        ):
            Endpoint(config(server.url)).chat_many(ask("a"))
        assert "another-house" not in json.dumps(server.headers), (
            "only the key that was named is sent"
        )


def test_what_an_endpoint_will_not_have_is_that_requests_own_error():
    def answer(call: Call) -> None:
        if call.prompt == "bad":
            return call.json({"error": {"message": "filtered", "code": "content_filter"}}, 400)
        if call.prompt == "long":
            return call.error(400, "This model's maximum context length is 8 tokens")
        echo(call)

    with serving(answer) as server:
        endpoint = Endpoint(config(server.url, concurrency=1))
        bad, long, good = endpoint.chat_many(ask("bad", "long", "good"))
        only = Endpoint(config(server.url, concurrency=1)).chat_many(ask("bad"))
    assert (bad.text, bad.finish_reason, bad.error) == ("", "content_filter", "HTTP 400: filtered")
    assert long.finish_reason == "too_long" and "maximum context length" in long.error
    assert good.text == "heard good" and endpoint.usage.failed == 2 and endpoint.usage.retries == 0
    assert only[0].error, "a whole batch of such requests is no dead endpoint"


def test_a_request_that_always_fails_among_others_is_counted_and_asked_again_next_time(tmp_path):
    with serving(lambda c: c.error(500) if c.prompt == "poison" else echo(c)) as server:
        words = {"retries": 2, "cache": tmp_path / "c.jsonl", "concurrency": 1}
        for run in (1, 2):
            endpoint = Endpoint(config(server.url, **words))
            replies = endpoint.chat_many(ask("a", "poison", "b"))
            assert [r.error for r in replies] == [None, "HTTP 500: no", None]
            assert server.seen == {"a": 1, "poison": 3 * run, "b": 1}


def test_a_server_without_schemas_is_asked_without_one_from_then_on():
    def answer(call: Call) -> None:
        if "response_format" in call.body:
            return call.error(400, "'response_format' of type json_schema is not supported")
        if "max_tokens" in call.body:
            return call.error(400, "Unsupported parameter: use 'max_completion_tokens' instead")
        echo(call)

    requests = [
        ChatRequest(
            r.messages,
            {"temperature": 0, "max_tokens": 9, "response_format": {"type": "json_schema"}},
        )
        for r in ask("a", "b", "c")
    ]
    with serving(answer) as server:
        endpoint = Endpoint(config(server.url, concurrency=1))
        assert [r.text for r in endpoint.chat_many(requests)] == ["heard a", "heard b", "heard c"]
    assert len(server.calls) == 5 and all(c["temperature"] == 0 for c in server.calls)
    assert server.calls[-1]["max_completion_tokens"] == 9
    assert endpoint.usage.adjusted == [
        "response_format left out",
        "max_tokens sent as max_completion_tokens",
    ]


def test_the_key_is_in_no_file_and_no_message(monkeypatch, tmp_path):
    monkeypatch.setenv("VENEER_TEST_KEY", "sk-very-secret")
    with serving(echo) as server:
        Endpoint(config(server.url, cache=tmp_path / "c.jsonl")).chat_many(ask("a", "b"))
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert files and not any(b"very-secret" in p.read_bytes() for p in files)


def test_cost_counts_what_was_asked_now(tmp_path):
    with serving(echo) as server:
        words = {"price_in": 2.0, "price_out": 10.0, "cache": tmp_path / "c.jsonl"}
        first = Endpoint(config(server.url, **words))
        first.chat_many(ask("a", "b"))
        again = Endpoint(config(server.url, **words))
        again.chat_many(ask("a", "b"))
    assert first.usage.cost == pytest.approx((2 * 10 * 2.0 + 2 * 4 * 10.0) / 1e6)
    assert again.usage.cost in (None, 0.0) and again.usage.cached == 2


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("localhost:8000/v1", "no endpoint's address"),
        ("ftp://x/v1", "no endpoint's address"),
        ("", "no endpoint's address"),
        ("http://me:sk-secret@host/v1", "host/..."),
        ("http://host/v1?key=sk-secret", "no endpoint's address"),
    ],
)
def test_addresses_are_checked_and_never_repeat_a_secret(url, expected):
    with pytest.raises(InputError, match=expected) as error:
        EndpointConfig(url, "m")
    assert "sk-secret" not in str(error.value)


@pytest.mark.parametrize(
    "words",
    [
        {"concurrency": 0},
        {"retries": -1},
        {"timeout": 0.0},
        {"timeout": float("nan")},
        {"price_in": -1.0},
    ],
)
def test_settings_are_checked(words):
    with pytest.raises(InputError, match=next(iter(words))):
        EndpointConfig("http://h/v1", "m", **words)
    with pytest.raises(InputError, match="no model is named"):
        EndpointConfig("http://h/v1", "")


def test_the_missing_package_is_named_at_the_start(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **words):
        if name == "openai":
            raise ImportError(name)
        return real(name, *args, **words)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"veneer\[openai\]"):
        Endpoint(EndpointConfig("http://h/v1", "m"))


@given(st.integers(1, 40), st.floats(0, 5), st.floats(0, 100), st.none() | st.floats(0, 1e6))
def test_waits_grow_within_their_bounds(attempt, first, longest, retry_after):
    import random

    pause = wait(attempt, first, longest, retry_after, random.Random(0))
    if retry_after is None:
        assert 0 <= pause <= min(longest, first * 2 ** (attempt - 1))
        assert pause >= min(longest, first * 2 ** min(attempt - 1, 30)) / 2
    else:
        assert min(retry_after, 600) <= pause <= min(retry_after, 600) + 0.25


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (completion("x", surprise=1), "x"),
        (completion(None, refusal="I won't"), "I won't"),
        (completion([{"type": "text", "text": "parts"}]), "parts"),
        ({"choices": [{"text": "plain", "finish_reason": "length"}]}, "plain"),
        (completion("half \ud800"), "half ?"),
    ],
)
def test_forms_of_replies(data, expected):
    assert read_reply(data)["text"] == expected


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"choices": [1]},
        {"choices": [{"message": {"content": 3}}]},
        {"choices": [{"finish_reason": "stop"}]},
    ],
)
def test_what_is_no_reply(data):
    with pytest.raises(ValueError):
        read_reply(data)


def test_no_file_is_written_without_an_answer(tmp_path: Path):
    with serving(lambda c: c.error(401)) as server, pytest.raises(InputError):
        Endpoint(config(server.url, cache=tmp_path / "sub" / "c.jsonl")).chat_many(ask("a"))
    assert not list(tmp_path.iterdir())
