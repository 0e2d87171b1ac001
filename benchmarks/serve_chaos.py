"""What well-behaved clients of `veneer serve` notice of hostile ones.

    python benchmarks/serve_chaos.py [--model lab:base] [--minutes 10] [--clients 200] [--calm 2]

A server in a process of its own on loopback. A tenth of the clients is hostile, a tenth leaves in
the middle of its requests, the others ask for answers of which each was asked before with nobody
else there. They come back where they are told so (503, 429). Before that, for --calm minutes, the
well-behaved clients are alone. Printed: answers that changed, answers that were lost (any status
but 200, or no reply), the memory of the server, and percentiles of the time from the first attempt
to the answer.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil

NEVER_ENDS = {"logit_bias": {"1": -100, "3": -100}}
MEBIBYTE = 2**20


@dataclass
class Target:
    """A server: its port, and the name of the model that is asked. patience: seconds that a hostile
    client waits at most."""

    port: int
    model: str = "base"
    patience: float = 20

    def wait(self, seconds: float) -> None:
        time.sleep(min(seconds, self.patience))

    def connect(self, timeout: float = 600) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def post(self, path: str, body: bytes | dict, **headers: str) -> tuple[int, bytes, dict]:
        """(status, body, headers) of a request on a connection of its own."""
        wire = self.connect()
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            wire.request("POST", path, raw, {"Content-Type": "application/json", **headers})
            reply = wire.getresponse()
            return reply.status, reply.read(), dict(reply.getheaders())
        finally:
            wire.close()

    def wire(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def head(self, length: int, *more: str) -> bytes:
        lines = (
            "POST /v1/completions HTTP/1.1",
            "Host: localhost",
            "Content-Type: application/json",
            *more,
            *([f"Content-Length: {length}"] if length >= 0 else []),
        )
        return "\r\n".join((*lines, "", "")).encode()

    def text(self, **fields: object) -> dict:
        return {"model": self.model, "prompt": "Velan", "max_tokens": 4, **fields}


# Well-behaved requests


def requests_of(target: Target, tokens: int = 24) -> list[tuple[str, dict]]:
    """(path, body) of requests of all kinds, each of which has one answer."""
    out: list[tuple[str, dict]] = []
    for i in range(24):
        text = f"Question: Selmo has {i + 2} bells and buys {i + 5} more. How many bells?\nAnswer:"
        how: dict[str, object] = {"max_tokens": 4 + i * 7919 % (tokens - 3), "model": target.model}
        how |= {"temperature": 0} if i % 3 else {"temperature": 0.8, "seed": i, "top_p": 0.9}
        how |= {"stop": ["\n", "Question:"]} if i % 4 == 1 else {}
        how |= {"stream": True} if i % 2 else {}
        how |= {"n": 2, "seed": 1} if i % 8 == 4 else {}
        if i % 5 == 3:
            out.append(
                ("/v1/chat/completions", {**how, "messages": [{"role": "user", "content": text}]})
            )
        else:
            how |= {"logprobs": 2, "echo": True} if i % 6 == 2 else {}
            out.append(("/v1/completions", {**how, "prompt": text}))
    return out


def content(raw: bytes, streams: bool) -> list[tuple[str, str | None, int]]:
    """(text, finish reason, number of log-probabilities) of each answer. Raises ValueError for a
    stream that breaks off."""
    choices: dict[int, list] = {}
    if streams:
        events = [line[6:] for line in raw.decode().split("\n\n") if line]
        if not events or events[-1] != "[DONE]":
            raise ValueError(f"the stream ends with {events[-1:]}")
        pieces = [c for e in events[:-1] for c in json.loads(e)["choices"]]
    else:
        pieces = json.loads(raw)["choices"]
    for piece in pieces:
        text = piece.get("text", piece.get("delta", piece.get("message", {})).get("content", ""))
        logprobs = piece.get("logprobs") or {}
        one = choices.setdefault(piece["index"], ["", None, 0])
        one[0] += text or ""
        one[1] = piece["finish_reason"] or one[1]
        one[2] += len(logprobs.get("tokens") or ())
    return [tuple(choices[i]) for i in sorted(choices)]


# Hostile requests, and clients that leave


def malformed(target: Target, rng: random.Random) -> None:
    """Fields at and beyond their limits."""
    digits = b"9" * rng.choice([20, 21, 4300, 5000])
    text = json.dumps(target.text())[:-1].encode()
    bodies = [
        target.text(temperature=1e-320),
        target.text(temperature=rng.choice([5e-324, 1e-6, 2.0]), top_p=5e-324, top_k=1),
        target.text(temperature=1, repetition_penalty=rng.choice([1e-300, 0.01, 10])),
        target.text(temperature=2, presence_penalty=-2, frequency_penalty=-2, min_p=1.0),
        target.text(logit_bias={str(i): -100 for i in range(1024)}),
        target.text(logit_bias={"9" * 5000: 1}),
        target.text(prompt="\ud800"),
        target.text(stop=["\udfff"]),
        target.text(model="\ud800" * 100),
        target.text(stop=["a" * 500] * 32),
        target.text(prompt=[10**19]),
        text + b', "n": ' + digits + b"}",
        text + b', "seed": -' + digits + b"}",
        text + b', "temperature": 1e999}',
        text + b', "logit_bias": {"1": Infinity}}',
        text + b', "temperature": 0, "temperature": 2}',
        text + b', "user": "\xed\xa0\x80"}',
        text + b', "metadata": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        text.decode().encode("utf-16") + "}".encode("utf-16"),
        b"\xff" * 1000,
    ]
    status, raw, _ = target.post("/v1/completions", rng.choice(bodies))
    assert status in (200, 400, 404, 429, 503), (status, raw[:200])


def ignored_fields(target: Target, rng: random.Random) -> None:
    """4 MiB that are not read."""
    padding = [b"{}," * 1_300_000 + b"{}", b'"' + b"x" * (4 * MEBIBYTE - 1000) + b'"'][
        rng.randrange(2)
    ]
    body = json.dumps(target.text())[:-1].encode() + b', "metadata": [' + padding + b"]}"
    target.post("/v1/completions", body)


def long_text_and_gone(target: Target, rng: random.Random) -> None:
    body = json.dumps(target.text(prompt="a" * 4_000_000)).encode()
    with target.wire() as wire:
        wire.sendall(target.head(len(body)) + body)


def silent(target: Target, rng: random.Random) -> None:
    """Connections without a request, or with half of one."""
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(target.wire()) for _ in range(30)]
        for wire in wires[::2]:
            wire.sendall(target.head(100)[: rng.randrange(1, 80)])
        target.wait(rng.uniform(1, 15))


def endless_body(target: Target, rng: random.Random) -> None:
    """A body that comes byte by byte, with a length or in chunks."""
    chunked = rng.random() < 0.5
    with target.wire() as wire:
        wire.sendall(
            target.head(-1, "Transfer-Encoding: chunked") if chunked else target.head(MEBIBYTE)
        )
        for _ in range(min(rng.randrange(5, 30), int(2 * target.patience))):
            wire.sendall(b"1\r\n \r\n" if chunked else b" ")
            time.sleep(0.5)


def no_http(target: Target, rng: random.Random) -> None:
    """Bytes that are no request, heads without end, requests ahead of their time."""
    ask = json.dumps(target.text()).encode()
    sent = [
        bytes(rng.randrange(256) for _ in range(500)),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        (target.head(len(ask)) + ask) * 50,
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n",
        target.head(-1, "Transfer-Encoding: chunked") + b"zz\r\nnot a chunk\r\n",
    ]
    with target.wire() as wire:
        wire.sendall(rng.choice(sent))
        wire.settimeout(min(target.patience, rng.uniform(0.1, 5)))
        wire.recv(1000)


def slow_reader(target: Target, rng: random.Random) -> None:
    """A stream that nobody reads."""
    body = json.dumps(
        target.text(stream=True, logprobs=20, n=8, max_tokens=100, **NEVER_ENDS)
    ).encode()
    with target.wire() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        wire.sendall(target.head(len(body)) + body)
        target.wait(rng.uniform(1, 20))


def greedy(target: Target, rng: random.Random) -> None:
    """As much work as one request may ask for."""
    bodies = [
        target.text(
            n=64, max_tokens=8, temperature=1, stop=["x" * 499 + str(i) for i in range(32)]
        ),
        target.text(prompt=["Velan of Tarn"] * 64, max_tokens=1, echo=True, logprobs=20),
        target.text(n=128, max_tokens=400, logprobs=20),
        target.text(
            n=16, max_tokens=8, logit_bias={str(i): 0.5 for i in range(1024)}, temperature=1
        ),
    ]
    target.post("/v1/completions", rng.choice(bodies))


HOSTILE = [
    malformed,
    malformed,
    ignored_fields,
    long_text_and_gone,
    silent,
    endless_body,
    no_http,
    slow_reader,
    greedy,
]


def leave(target: Target, rng: random.Random) -> None:
    """Ask for a long answer and go, before, at or behind its beginning."""
    body = json.dumps(
        target.text(stream=rng.random() < 0.5, n=2, max_tokens=200, **NEVER_ENDS)
    ).encode()
    with target.wire() as wire:
        whole = target.head(len(body)) + body
        wire.sendall(whole[: len(whole) if rng.random() < 0.8 else rng.randrange(len(whole))])
        target.wait(rng.uniform(0, 3))


# The run


@dataclass
class Report:
    """asked: well-behaved requests. changed: answers that are not what they were alone, and lost:
    what came instead of an answer, each with the request. seconds: per answer, from the first
    attempt. returns: attempts that were told to come back. health: seconds per GET /health, checked
    all the time."""

    seconds: list[float] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    returns: int = 0
    health: list[float] = field(default_factory=list)
    health_lost: list[str] = field(default_factory=list)
    hostile: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)  # (second, MiB)
    lock: threading.Lock = field(default_factory=threading.Lock)


def alone(target: Target, requests: list[tuple[str, dict]]) -> list[tuple[str, dict, list]]:
    """Each request with its answer while nobody else asks."""
    out = []
    for path, body in requests:
        status, raw, _ = target.post(path, body)
        assert status == 200, raw
        out.append((path, body, content(raw, "stream" in body)))
    return out


def run(
    target: Target,
    expected: list[tuple[str, dict, list]],
    seconds: float,
    clients: int,
    *,
    disturbed: bool = True,
    process: psutil.Process | None = None,
    pause: float = 2.0,
    seed: int = 0,
) -> Report:
    """Let the clients work for `seconds`: a tenth hostile, a tenth leaving, unless they are not to
    be disturbed. pause: mean seconds between two requests of a well-behaved client."""
    report, over = Report(), threading.Event()
    began = time.monotonic()

    def good(rng: random.Random) -> None:
        time.sleep(rng.uniform(0, pause))
        while not over.is_set():
            path, body, wanted = rng.choice(expected)
            first = time.monotonic()
            while True:
                try:
                    status, raw, headers = target.post(path, body)
                except (OSError, http.client.HTTPException) as error:
                    result = f"{type(error).__name__}: {error}"
                    break
                if status not in (429, 503):
                    result = "" if status == 200 else f"{status} {raw[:200]!r}"
                    break
                with report.lock:
                    report.returns += 1
                time.sleep(float(headers.get("retry-after", 1)) * rng.uniform(0.5, 1.5))
            answer: list = []
            if not result:
                try:
                    answer = content(raw, "stream" in body)
                except ValueError as error:
                    result = str(error)
            with report.lock:
                if result:
                    report.lost.append(f"{result} for {body}")
                else:
                    report.seconds.append(time.monotonic() - first)
                    if answer != wanted:
                        report.changed.append(f"{answer} instead of {wanted}")
            over.wait(rng.expovariate(1 / pause) if pause else 0)

    def bad(rng: random.Random, actions: list[Callable[[Target, random.Random], None]]) -> None:
        while not over.is_set():
            action = rng.choice(actions)
            try:
                action(target, rng)
            except (OSError, http.client.HTTPException):
                pass  # the server closed the connection
            except AssertionError as error:
                with report.lock:
                    report.faults.append(f"{action.__name__}: {error}")
            with report.lock:
                report.hostile[action.__name__] += 1
            over.wait(rng.uniform(0, 1))

    def watch() -> None:
        while not over.is_set():
            first = time.monotonic()
            wire = target.connect(60)
            try:
                wire.request("GET", "/health")
                status = wire.getresponse().status
                result = "" if status == 200 else str(status)
            except (OSError, http.client.HTTPException) as error:
                result = f"{type(error).__name__}: {error}"
            wire.close()
            report.health.append(time.monotonic() - first)
            if result:
                report.health_lost.append(result)
            if process is not None:
                memory = process.memory_info().rss / MEBIBYTE
                report.memory.append((time.monotonic() - began, memory))
            over.wait(1)

    tenth = clients // 10
    threads = [threading.Thread(target=watch)]
    for i in range(clients):
        rng = random.Random(seed * 1000 + i)
        if i < 2 * tenth:
            if disturbed:
                actions = HOSTILE if i < tenth else [leave]
                threads.append(threading.Thread(target=bad, args=(rng, actions)))
        else:
            threads.append(threading.Thread(target=good, args=(rng,)))
    for thread in threads:
        thread.start()
    over.wait(seconds)
    over.set()
    for thread in threads:
        thread.join()
    return report


def percentiles(values: list[float]) -> str:
    if len(values) < 2:
        return "too few"
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return (
        f"p50 {cuts[49]:.2f} s, p90 {cuts[89]:.2f} s, p99 {cuts[98]:.2f} s, max {max(values):.2f} s"
    )


def show(name: str, report: Report) -> None:
    print(
        f"{name}: {len(report.seconds) + len(report.lost)} well-behaved requests, "
        f"{len(report.changed)} answers changed, {len(report.lost)} lost; "
        f"{report.returns} times told to come back\n"
        f"  answer: {percentiles(report.seconds)}\n"
        f"  /health: {percentiles(report.health)}, {len(report.health_lost)} of "
        f"{len(report.health)} without a 200"
    )
    if report.memory:
        last = report.memory[-1][0]
        quarters = [
            statistics.median(
                m for t, m in report.memory if last * q / 4 <= t <= last * (q + 1) / 4
            )
            for q in range(4)
        ]
        print(
            "  memory: median MiB of each quarter "
            + ", ".join(f"{m:.0f}" for m in quarters)
            + f"; most {max(m for _, m in report.memory):.0f}"
        )
    if report.hostile:
        print("  hostile and leaving: " + ", ".join(f"{k} {n}" for k, n in report.hostile.items()))
    for kind in ("changed", "lost", "faults", "health_lost"):
        for line, n in Counter(getattr(report, kind)).most_common(3):
            print(f"  {kind}: {n} x {line[:400]}")
    sys.stdout.flush()


def start(model: str, *options: str) -> tuple[subprocess.Popen, int]:
    """A server of its own, and its port."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import veneer.cli; veneer.cli.entry()",
            *("serve", "--model", model, "--port", "0", *options),
        ],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stderr is not None
    for line in process.stderr:
        if match := re.search(r"http://127\.0\.0\.1:(\d+)/v1", line):
            return process, int(match[1])
    raise RuntimeError("the server did not start")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="lab:base")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--calm", type=float, default=2)
    parser.add_argument("--clients", type=int, default=200)
    words = parser.parse_args()
    process, port = start(words.model)
    log: list[str] = []
    assert process.stderr is not None
    draining = threading.Thread(target=lambda: log.extend(process.stderr or ()), daemon=True)
    draining.start()
    try:
        target, watched = Target(port), psutil.Process(process.pid)
        requests = requests_of(target)
        expected = alone(target, requests)
        how = {"clients": words.clients, "process": watched}
        if words.calm:
            show("calm", run(target, expected, 60 * words.calm, disturbed=False, **how))
        show("disturbed", run(target, expected, 60 * words.minutes, **how))
        again = alone(target, requests)
        changed = sum(a[2] != b[2] for a, b in zip(expected, again, strict=True))
        print(f"afterwards, alone: {changed} of {len(expected)} answers changed")
        time.sleep(35)
        print(f"connections left: {len(watched.net_connections()) - 1}; log: {len(log)} lines")
        # without times, and without the frames of tracebacks
        kinds = Counter(re.sub(r"^[\d-]+ [\d:,]+ ", "", n.rstrip()) for n in log if n[:1] != " ")
        for line, n in kinds.most_common(20):
            print(f"  {n} x {line[:200]}")
    finally:
        process.terminate()
        print(f"the server ended with code {process.wait(60)}")


if __name__ == "__main__":
    main()
