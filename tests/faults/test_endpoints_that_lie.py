"""Servers that lie: every lie is gone over (the second answer is true) or is that request's error;
nothing hangs, grows or leaks."""

from __future__ import annotations

import gzip
import itertools
import json
import time

import pytest

import endpoint_requests
from endpoint_requests import ask
from faulty_server import Call, completion, serving
from veneer.endpoint import Endpoint, EndpointConfig
from veneer.endpoint.transport import Failure, Transport
from veneer.foundation.errors import VeneerError

pytest.importorskip("openai", reason="needs the package openai: pip install 'veneer[openai]'")

KEY = "sk-veneer-test-0123456789"
BODY = json.dumps(completion("true")).encode()


def endless(call: Call, status: int = 200) -> None:
    """A body without an end, in chunks, as fast as it is taken."""
    h = call.handler
    h.send_response(status)
    h.send_header("Transfer-Encoding", "chunked")
    h.end_headers()
    for _ in itertools.count():
        h.wfile.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


def slow(call: Call, status: int = 200) -> None:
    """A body without an end, a byte at a time."""
    h = call.handler
    h.send_response(status)
    h.send_header("Transfer-Encoding", "chunked")
    h.end_headers()
    for _ in itertools.count():
        h.wfile.write(b"1\r\n \r\n")
        h.wfile.flush()
        time.sleep(0.02)


def encoded(call: Call, data: bytes, how: str, status: int = 200) -> None:
    call.raw(data, status, Content_Encoding=how)


def sized(call: Call, length: int) -> None:
    h = call.handler
    h.send_response(200)
    h.send_header("Content-Length", str(length))
    h.end_headers()
    h.wfile.write(BODY)
    h.close_connection = True


def changed(**fields: object) -> dict:
    return {**completion("true"), **fields}


BOMB = gzip.compress(b" " * (200 * 2**20))  # 200 MiB in 200 kB
LIES = {
    "length too short": lambda c: sized(c, len(BODY) // 2),
    "length too long": lambda c: sized(c, len(BODY) + 100),
    "length below zero": lambda c: sized(c, -1),
    "length beyond all disks": lambda c: sized(c, 10**30),
    "endless body": endless,
    "endless slow body": slow,
    "endless body of an error": lambda c: endless(c, 500),
    "endless slow body of an error": lambda c: slow(c, 503),
    "gzip bomb": lambda c: encoded(c, BOMB, "gzip"),
    "gzip bomb in an error": lambda c: encoded(c, BOMB, "gzip", 500),
    "no gzip under its name": lambda c: encoded(c, BODY, "gzip"),
    "an encoding nobody asked for": lambda c: encoded(c, BODY, "zstd"),
    "nested a million deep": lambda c: c.raw(b"[" * 10**6),
    "a number of 5,000 digits": lambda c: c.raw(b'{"usage": ' + b"9" * 5000 + b"}"),
    "NUL and no UTF-8": lambda c: c.raw(b'{"choices": "\xff\x00"}'),
    "choices an object": lambda c: c.json(changed(choices={"0": 1})),
    "a choice of null": lambda c: c.json(changed(choices=[None])),
    "content a number": lambda c: c.say(7),  # type: ignore[arg-type]
    "redirect to itself": lambda c: c.raw(b"", 307, Location=c.handler.path),
    "redirect to nowhere": lambda c: c.raw(b"", 308, Location="http://127.0.0.1:9/v1"),
    "redirect to a file": lambda c: c.raw(b"", 302, Location="file:///etc/passwd"),
    "status 999": lambda c: c.raw(b"{}", 599),
}
# answered at once: what is strange about them must not matter
ODD = {
    "two choices": changed(choices=completion("true")["choices"] * 2),
    "token counts of nobody": changed(
        usage={"prompt_tokens": 10**400 // 1, "completion_tokens": -7}
    ),
    "log-probabilities that are NaN": changed(
        choices=[
            {
                **completion("true")["choices"][0],
                "logprobs": {"content": [{"token": "a", "logprob": float("nan")}]},
            }
        ]
    ),
    "usage a text": changed(usage="much"),
    "a model's name of a megabyte": changed(model="m" * 2**20),
}


def config(url: str, **words) -> EndpointConfig:
    return endpoint_requests.config(url, **{"timeout": 1.0, "retries": 1, **words})


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("VENEER_TEST_KEY", KEY)


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_gone_over_or_is_an_error_in_time(name, tally):
    def answer(call: Call) -> None:
        LIES[name](call) if call.times == 1 else call.say("true")

    with tally.fault("endpoint that lies"), serving(answer) as server:
        started = time.monotonic()
        try:
            (reply,) = Endpoint(config(server.url)).chat_many(ask("a"))
        except VeneerError as error:
            assert KEY not in str(error) and "\n" not in str(error) and len(str(error)) < 1000
        else:
            assert (reply.text, reply.error) == ("true", None)
        assert time.monotonic() - started < 8, "it hung"


@pytest.mark.parametrize("name", ODD)
def test_what_is_merely_odd_is_read(name, tally):
    with (
        tally.fault("endpoint that lies"),
        serving(lambda c: c.raw(json.dumps(ODD[name]).encode())) as server,
    ):
        endpoint = Endpoint(config(server.url, price_in=1.0, price_out=1.0, timeout=20.0))
        (reply,) = endpoint.chat_many(ask("a"))
        assert (
            reply.text == "true"
            and 0 <= reply.prompt_tokens < 10**12
            and reply.completion_tokens >= 0
        )
        assert endpoint.usage.cost is not None and endpoint.usage.cost < 10**9


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_key_does_not_follow_a_redirect_to_another_host(status, tally):
    with serving(lambda c: c.say("from elsewhere")) as thief:
        there = thief.url.replace("127.0.0.1", "localhost") + "/chat/completions"
        with (
            tally.fault("endpoint that redirects the key"),
            serving(lambda c: c.raw(b"", status, Location=there)) as server,
        ):
            try:
                Endpoint(config(server.url, retries=0)).chat_many(ask("a"))
            except VeneerError as error:
                assert KEY not in str(error)
            assert server.headers and f"Bearer {KEY}" == server.headers[0]["authorization"]
            assert not [h for h in thief.headers if KEY in str(h)], "the key went to another host"


def test_a_key_that_is_said_back_is_not_kept(tmp_path, tally):
    """In the text of an answer, which is stored, as in an error."""
    kept = tmp_path / "replies.jsonl"
    fault = "endpoint that says the key back"
    with (
        tally.fault(fault),
        serving(lambda c: c.say(f"you said {c.handler.headers['authorization']}")) as server,
    ):
        (reply,) = Endpoint(config(server.url, cache=kept)).chat_many(ask("a"))
        assert reply.text == "you said Bearer ***" and KEY not in kept.read_text()
    with tally.fault(fault), serving(lambda c: c.error(400, f"bad {KEY}")) as server:
        with pytest.raises(Failure) as caught:
            Transport(config(server.url)).post(
                "chat/completions", {"model": "m", "messages": [{"role": "user", "content": "a"}]}
            )
        assert KEY not in caught.value.message


def test_memory_of_a_bomb_is_bounded(tally):
    import tracemalloc

    with tally.fault("endpoint that lies"), serving(lambda c: encoded(c, BOMB, "gzip")) as server:
        tracemalloc.start()
        with pytest.raises(Failure, match=r"MiB|whole reply"):
            Transport(config(server.url, timeout=20.0)).post(
                "chat/completions", {"model": "m", "messages": [{"role": "user", "content": "a"}]}
            )
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < 400 * 2**20, f"{most >> 20} MiB"
