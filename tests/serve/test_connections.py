"""Clients that send nothing, slowly, too much or nonsense, or do not read: they give way, and the
others notice nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tiny import tiny
from veneer.serve.connections import Connections
from veneer.serve.intake import BODIES, Intake
from veneer.serve.reading import ReadingThread
from veneer.serve.requests import Limits
from veneer.serve.served import Served
from veneer.serve.server import wanted_files
from veneer.systems.system import System
from veneer_server import Running, serving

TEXT = {"model": "base", "prompt": "hi", "max_tokens": 2, "temperature": 0}
MOST_BODY = 2**18


@pytest.fixture(scope="module")
def tight():
    """A server with room for little: 8 connections, 4 requests, seconds instead of minutes."""
    lm = tiny(max_position_embeddings=4096)
    with serving(
        [Served(System.of_model(lm))],
        limits=Limits(max_body=MOST_BODY),
        intake=Intake(most_body=MOST_BODY, most=4, per_address=3, body_seconds=3),
        connections=Connections(most=8, head_seconds=1.5, stall_seconds=1),
    ) as running:
        yield running


def head(length: int | str, *lines: str, path: str = "/v1/completions") -> bytes:
    size = (f"Content-Length: {length}",) if isinstance(length, int) else (length,)
    first = (f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json")
    return "\r\n".join((*first, *size, *lines, "", "")).encode()


def whole(**fields: object) -> bytes:
    body = json.dumps({**TEXT, **fields}).encode()
    return head(len(body)) + body


def everything(wire: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := wire.recv(2**16):
            received += piece
    return received


def refusal(raw: bytes) -> tuple[int, dict]:
    """(status, error) of a reply."""
    top, _, body = raw.partition(b"\r\n\r\n")
    assert b"application/json" in top.lower(), raw
    return int(top.split()[1]), json.loads(body)["error"]


def until_it_answers(server: Running) -> None:
    """Wait until earlier requests have left."""
    until = time.monotonic() + 60
    while server.ask("/v1/completions", TEXT)[0] != 200:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_silent_connections_give_way(tight):
    """Twice as many as the server holds; then their time is over."""
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(tight.wire()) for _ in range(16)]
        for wire in wires[8::2]:
            wire.sendall(b"POST /v1/completions HT")
        assert tight.ask("/health")[0] == 200
        assert tight.ask("/v1/completions", TEXT)[0] == 200
        status, error = refusal(everything(wires[-2]))
        assert status == 408 and "head of a request did not come within 1.5 s" in error["message"]
        assert not everything(wires[0]), "an old one was closed without a word"


def test_a_body_that_never_ends_gets_an_answer(tight):
    with tight.wire() as wire:
        wire.sendall(head("Transfer-Encoding: chunked") + b"1\r\n{\r\n")
        status, error = refusal(everything(wire))
        assert status == 408 and "did not come within 3 s" in error["message"]


def test_slow_bodies_give_way_to_other_requests(tight):
    """Nine, where three requests of an address may be in progress."""
    with contextlib.ExitStack() as stack:
        wires = []
        for _ in range(9):
            wires.append(stack.enter_context(tight.wire()))
            wires[-1].sendall(head(1000) + b"{")
            assert tight.ask("/v1/completions", TEXT)[0] == 200
            assert tight.ask("/health")[0] == 200
        status, error = refusal(everything(wires[0]))
        assert status == 408 and error["message"]
    until_it_answers(tight)


def test_large_bodies_give_way_to_small_ones():
    intake = Intake(most_body=1000)

    async def together() -> list[str]:
        waiting = asyncio.Event()

        async def one(size: int) -> str:
            from veneer.serve.errors import ApiError

            incoming = intake.enter("1.2.3.4")
            try:
                async with incoming.within(60):
                    incoming.held = size
                    intake._bound_bytes()
                    await waiting.wait()
                return "read"
            except ApiError as error:
                return f"{error.status} {error.code}"
            finally:
                intake.leave(incoming)

        sizes = [900] * BODIES + [800] * 2 + [1] * 50
        tasks = [asyncio.create_task(one(n)) for n in sizes]
        await asyncio.sleep(0.05)
        waiting.set()
        return await asyncio.gather(*tasks)

    replies = asyncio.run(together())
    assert replies[: BODIES - 1].count("503 overloaded") == 1  # 16,050 bytes, of 16,000
    assert replies[BODIES:] == ["read"] * 52 and set(replies) == {"read", "503 overloaded"}


def test_an_address_with_too_many_requests_gets_status_429(tight):
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            wire = stack.enter_context(tight.wire())
            wire.sendall(whole(max_tokens=1000, n=4, stream=True, logit_bias={"1": -100}))
            assert wire.recv(9) == b"HTTP/1.1 "
        status, reply, headers = tight.ask("/v1/completions", TEXT)
        assert status == 429 and reply["error"]["type"] == "rate_limit_error"
        assert headers["retry-after"] == "1" and tight.ask("/health")[0] == 200
    until_it_answers(tight)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00" + bytes(100),
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000,
        b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        head("Transfer-Encoding: chunked") + b"zz\r\n",
        head("Content-Length: -1"),
    ],
)
def test_what_is_no_request_gets_json(tight, sent):
    with tight.wire() as wire:
        wire.sendall(sent)
        status, error = refusal(everything(wire))
        assert status == 400 and "HTTP/1.1" in error["message"]


def test_a_refusal_reaches_a_client_that_is_still_sending(tight):
    """Its body is read to the end, or for two seconds; then the connection is closed, even if more
    would come."""
    for sent in (
        head(4 * MOST_BODY) + b"x" * (4 * MOST_BODY),
        head(4 * MOST_BODY, "Connection: close") + b"x" * (4 * MOST_BODY),
    ):
        with tight.wire() as wire:
            wire.sendall(sent)
            assert refusal(everything(wire))[0] == 413
    with tight.wire() as wire:
        wire.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n")
        assert everything(wire).startswith(b"HTTP/1.1 200")


def test_requests_ahead_of_their_time(tight):
    """Three at once are answered in order; a client that goes is noticed although more of its
    requests lie ahead."""
    with tight.wire() as wire:
        last = whole(n=3).replace(b"Host:", b"Connection: close\r\nHost:", 1)
        wire.sendall(whole() + whole(n=2) + last)
        replies = everything(wire)
        bodies = [
            json.loads(r.partition(b"\r\n\r\n")[2]) for r in re.split(rb"(?=HTTP/1)", replies)[1:]
        ]
        assert [len(r["choices"]) for r in bodies] == [1, 2, 3]
    with tight.wire() as wire:
        wire.sendall(whole(max_tokens=1000, stream=True, logit_bias={"1": -100}))
        assert wire.recv(9) == b"HTTP/1.1 "
        wire.sendall(whole() * 3)
    until = time.monotonic() + 30
    while tight.scheduler.counts() != {"running": 0, "waiting": 0}:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_client_that_does_not_read_is_closed(tight):
    """Its whole answer is larger than what the kernel takes for it."""
    with tight.wire() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        # an echo of 3,000 tokens with 20 alternatives each: about 2 MB
        wire.sendall(whole(prompt=[20] * 3000, echo=True, logprobs=20, max_tokens=1))
        assert wire.recv(9) == b"HTTP/1.1 "
        until = time.monotonic() + 60
        with pytest.raises(OSError):
            while time.monotonic() < until:
                time.sleep(0.2)
                wire.send(b"x")
    until_it_answers(tight)


@pytest.mark.parametrize(
    ("kind", "encoding", "status"),
    [
        ("application/json; charset=utf-8", "identity", 200),
        ("APPLICATION/JSON", "identity", 200),
        ("text/json", "identity", 415),
        ("multipart/form-data", "identity", 415),
        ("application/json", "gzip", 415),
    ],
)
def test_content_types(tight, kind, encoding, status):
    reply = tight.ask("/v1/completions", TEXT, Content_Type=kind, Content_Encoding=encoding)
    assert reply[0] == status and (status == 200 or reply[1]["error"]["message"])


def test_a_long_text_is_refused_unread(tight):
    status, reply, _ = tight.ask("/v1/completions", {**TEXT, "prompt": "a" * 200_000})
    assert status == 400 and reply["error"]["code"] == "context_length_exceeded"
    assert "200000 bytes of text; 'base' reads 131072 at most" in reply["error"]["message"]
    messages = [{"role": "user", "content": "a" * 140_000}]
    chat = {"model": "base", "messages": messages, "max_tokens": 1}
    assert tight.ask("/v1/chat/completions", chat)[1]["error"]["param"] == "messages"
    ids = {**TEXT, "prompt": [20] * 4097}
    assert "4097 token ids" in tight.ask("/v1/completions", ids)[1]["error"]["message"]


def test_too_many_log_probabilities(tight):
    body = {**TEXT, "n": 128, "max_tokens": 1000, "logprobs": 20}
    status, reply, _ = tight.ask("/v1/completions", body)
    assert status == 400 and "up to 2688000 log-probabilities" in reply["error"]["message"]


def test_short_texts_are_read_first_and_unwanted_ones_not_at_all():
    reading, begun, free = ReadingThread(), [], threading.Event()

    async def together() -> None:
        first = asyncio.create_task(reading.run(free.wait, 1))
        tasks = {
            name: asyncio.create_task(reading.run(lambda name=name: begun.append(name), size))
            for name, size in (("long", 10**6), ("unwanted", 10), ("short", 20), ("next", 10))
        }
        await asyncio.sleep(0.05)
        tasks["unwanted"].cancel()
        await asyncio.sleep(0.05)
        free.set()
        await asyncio.gather(first, *tasks.values(), return_exceptions=True)

    reading.start()
    asyncio.run(together())
    assert begun == ["short", "next", "long"]
    reading.stop()


@pytest.mark.parametrize(
    ("soft", "hard", "files"),
    [(1024, 4096, None), (None, None, None), (256, 4096, 704), (256, None, 704), (256, 300, 300)],
)
def test_connections_fit_the_limit_of_open_files(soft, hard, files):
    assert wanted_files(576, soft, hard) == files


def test_many_keep_alive_connections(tight):
    """Idle ones give way only where there is no other; a new client always finds a place."""
    with contextlib.ExitStack() as stack:
        for _ in range(12):
            wire = stack.enter_context(tight.wire())
            wire.sendall(whole())
            assert wire.recv(12) == b"HTTP/1.1 200"
        with ThreadPoolExecutor(2) as pool:
            assert [r[0] for r in pool.map(lambda _: tight.ask("/health"), range(4))] == [200] * 4
