"""Many clients at once: the same answers, nobody waits for ever, and who leaves
takes no more time."""

from __future__ import annotations

import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from tiny import tiny
from veneer.models.load import load_model
from veneer.serve.served import Served
from veneer.systems.system import System
from veneer_server import Running, serving

TEXTS = [
    f"Question: Selmo has {n} bells and buys {n + 3} more. How many bells are there?\nAnswer:"
    for n in range(2, 10)
]
NEVER_ENDS = {
    "model": "base",
    "prompt": "Velan",
    "max_tokens": 450,
    "logit_bias": {"1": -100, "3": -100},
}


@pytest.fixture(scope="module")
def one():
    """A server that decodes two answers at once."""
    with serving(
        [Served(System.of_model(load_model("lab:base")))], most_rows=2, most_waiting=8
    ) as running:
        yield running


def test_eight_clients_at_once_get_what_each_gets_alone(client):
    def ask(i: int):
        words = {"temperature": 0, "max_tokens": 24, "stop": ["\n"] if i % 2 else None}
        name = ["base", "veneer", "shifted-1", "shifted-1.5@4"][i % 4]
        if i % 3 == 0:
            reply = client.chat.completions.create(
                model=name, messages=[{"role": "user", "content": TEXTS[i]}], **words
            )
            return reply.choices[0].message.content
        if i % 3 == 1:
            return "".join(
                c.choices[0].text
                for c in client.completions.create(
                    model=name, prompt=TEXTS[i], stream=True, **words
                )
            )
        return client.completions.create(model=name, prompt=TEXTS[i], **words).choices[0].text

    alone = [ask(i) for i in range(8)]
    for _ in range(2):
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(ask, range(8))) == alone


def test_sampled_answers_do_not_depend_on_their_neighbours(client):
    def ask(seed: int) -> str:
        words = {"temperature": 1.0, "top_p": 0.9, "max_tokens": 16, "seed": seed}
        return client.completions.create(model="base", prompt=TEXTS[seed], **words).choices[0].text

    alone = [ask(i) for i in range(6)]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask, range(6))) == alone


def test_a_short_answer_does_not_wait_for_a_long_one(one: Running):
    long, seen = (
        http.client.HTTPConnection(one.address.removeprefix("http://"), timeout=60),
        time.perf_counter(),
    )
    long.request(
        "POST",
        "/v1/completions",
        json.dumps({**NEVER_ENDS, "stream": True}),
        {"Content-Type": "application/json"},
    )
    reply = long.getresponse()
    assert reply.readline().startswith(b"data: ")
    status, body, _ = one.ask(
        "/v1/completions", {"model": "base", "prompt": TEXTS[0], "max_tokens": 3}
    )
    short = time.perf_counter() - seen
    assert status == 200 and body["usage"]["completion_tokens"] >= 1
    assert one.scheduler.counts()["running"] == 1, "the long one is still under way"
    rest = reply.read()
    assert rest.endswith(b"data: [DONE]\n\n") and time.perf_counter() - seen > short
    long.close()


def wait_for(what) -> None:
    until = time.monotonic() + 60
    while not what():
        assert time.monotonic() < until, "nothing happened for a minute"
        time.sleep(0.01)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_frees_its_place(one: Running, stream):
    """Under way and waiting alike, whether it streams or not."""
    wires = []
    for _ in range(4):
        wire = http.client.HTTPConnection(one.address.removeprefix("http://"), timeout=60)
        wire.request(
            "POST",
            "/v1/completions",
            json.dumps({**NEVER_ENDS, "stream": stream}),
            {"Content-Type": "application/json"},
        )
        wires.append(wire)
    wait_for(lambda: one.scheduler.counts() == {"running": 2, "waiting": 2})
    for wire in wires:
        wire.sock.close() if not stream else wire.close()
    wait_for(lambda: one.scheduler.counts() == {"running": 0, "waiting": 0})
    assert one.ask("/v1/completions", {"model": "base", "prompt": "Who", "max_tokens": 2})[0] == 200


def test_a_full_queue_turns_requests_away_and_clients_come_back(one: Running):
    statuses: list[int] = []
    many = [
        threading.Thread(
            target=lambda: statuses.append(
                one.ask("/v1/completions", {**NEVER_ENDS, "max_tokens": 60})[0]
            )
        )
        for _ in range(16)
    ]
    for thread in many:
        thread.start()
    patient = openai.OpenAI(base_url=one.url, api_key="x", max_retries=8)
    assert (
        patient.completions.create(model="base", prompt="Who", max_tokens=2)
        .choices[0]
        .finish_reason
    )
    for thread in many:
        thread.join()
    assert set(statuses) <= {200, 503} and statuses.count(200) >= 8, "at least what the queue holds"


def test_a_request_that_arrives_as_the_server_ends_gets_an_answer():
    with serving([Served(System.of_model(tiny()))]) as server:
        wires = [server.wire(), server.wire()]
        wires[0].sendall(b"POST /v1/completions HT")
        wires[1].sendall(
            b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
        wait_for(lambda: len(server.server.connections._open) == 2)
        server.server.should_exit = server.server._at_once = True
        replies = [b"".join(iter(lambda w=w: w.recv(2**16), b"")) for w in wires]
    assert b'"shutting_down"' in replies[1]


def test_a_request_under_way_as_the_server_ends_gets_an_answer():
    with (
        serving([Served(System.of_model(load_model("lab:base")))]) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        future = pool.submit(server.ask, "/v1/completions", NEVER_ENDS)
        wait_for(lambda: server.scheduler.counts()["running"] == 1)
        server.scheduler.stop()
        status, reply, _ = future.result(60)
        assert status == 503 and reply["error"]["code"] == "shutting_down"
        assert server.ask("/v1/completions", NEVER_ENDS)[0] == 503
        assert server.ask("/health")[0] == 503
