"""What `veneer serve` gains from decoding parallel requests together, and what a short request
waits behind long ones.

    python benchmarks/serve.py [--model lab:base] [--veneer DIR] [--rounds 6] [--requests 16]
        [--clients 8] [--tokens 48]

A server in this process on loopback, clients as threads over plain HTTP. Each round asks the same
requests once with one client and once with all, in turn first, so that a machine that changes its
mind hits both; the ratio of their times is taken in the round. Answers are greedy and end tokens
are barred, so that both have the same tokens to make; the answers are compared.

- equal: every answer has --tokens tokens, so that clients keep step;
- mixed: 4 to --tokens tokens, so that they come and go.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import os
import platform
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
import torch
from scipy.stats import t

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from veneer.head.veneer import Veneer
from veneer.models.load import load_model
from veneer.serve.served import Served
from veneer.systems.system import System
from veneer_server import Running, serving

SHORT = 4  # tokens of the answer whose waiting is measured


def ask(server: Running, body: dict) -> tuple[str, float]:
    """(text, seconds) of one request on a connection of its own."""
    began = time.perf_counter()
    wire = http.client.HTTPConnection(server.address.removeprefix("http://"), timeout=600)
    wire.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    reply = json.loads(wire.getresponse().read())
    wire.close()
    return reply["choices"][0]["text"], time.perf_counter() - began


def bodies(name: str, ends: list[int], lengths: list[int]) -> list[dict]:
    bias = {str(i): -100 for i in ends}
    return [
        {
            "model": name,
            "prompt": (
                f"Question: Tom has {i + 2} apples and buys {n} more. How many apples does he "
                "have?\nAnswer:"
            ),
            "max_tokens": n,
            "temperature": 0,
            "logit_bias": bias,
        }
        for i, n in enumerate(lengths)
    ]


def timed(server: Running, work: list[dict], clients: int) -> tuple[float, list[str]]:
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        texts = [text for text, _ in pool.map(lambda b: ask(server, b), work)]
    return time.perf_counter() - began, texts


def interval(values: list[float]) -> tuple[float, float, float]:
    """Geometric mean with its 95 % interval (Student's t on the logarithms)."""
    logs = [math.log(v) for v in values]
    mean = statistics.fmean(logs)
    half = (
        t.ppf(0.975, len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
        if len(logs) > 1
        else float("nan")
    )
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def throughput(server: Running, label: str, work: list[dict], clients: int, rounds: int) -> None:
    one, many, different = [], [], 0
    timed(server, work[:clients], clients)  # warm
    for turn in range(rounds):
        timings = {
            n: timed(server, work, n) for n in ((1, clients) if turn % 2 == 0 else (clients, 1))
        }
        one.append(len(work) / timings[1][0])
        many.append(len(work) / timings[clients][0])
        different += sum(a != b for a, b in zip(timings[1][1], timings[clients][1], strict=True))
    ratio, low, high = interval([b / a for a, b in zip(one, many, strict=True)])
    print(
        f"{label}: {statistics.median(one):.2f} requests/s with 1 client, "
        f"{statistics.median(many):.2f} with {clients}; ratio {ratio:.2f} [{low:.2f}, {high:.2f}] "
        f"over {rounds} rounds; {different} of {len(work) * rounds} answers differ"
    )


def waiting(server: Running, name: str, ends: list[int], tokens: int, rounds: int) -> None:
    (short,) = bodies(name, ends, [SHORT])
    long = bodies(name, ends, [tokens] * 4)
    alone = [ask(server, short)[1] for _ in range(rounds)]
    behind = []
    for _ in range(rounds):
        threads = [threading.Thread(target=ask, args=(server, b)) for b in long]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        behind.append(ask(server, short)[1])
        for thread in threads:
            thread.join()
    whole = statistics.median(ask(server, long[0])[1] for _ in range(2))
    print(
        f"a {SHORT}-token answer: median {statistics.median(alone):.3f} s alone, "
        f"{statistics.median(behind):.3f} s (largest {max(behind):.3f}) behind 4 answers of "
        f"{tokens} tokens, one of which takes {whole:.3f} s alone; n = {rounds}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (
        ("model", "lab:base"),
        ("veneer", None),
        ("rounds", 6),
        ("requests", 16),
        ("clients", 8),
        ("tokens", 48),
    ):
        parser.add_argument(
            f"--{name}", default=default, type=type(default) if default is not None else str
        )
    words = parser.parse_args()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    lm = load_model(words.model)
    system = System.of_model(lm, None if words.veneer is None else Veneer.load(words.veneer))
    print(
        f"{system.name} of {words.model}; {platform.processor() or platform.machine()}, "
        f"{torch.get_num_threads()} thread(s) of torch"
    )
    lengths = [4 + (i * 7919) % (words.tokens - 3) for i in range(words.requests)]
    with serving([Served(system)]) as server:
        ends = list(system.stop_ids)
        throughput(
            server,
            "equal",
            bodies(system.name, ends, [words.tokens] * words.requests),
            words.clients,
            words.rounds,
        )
        throughput(server, "mixed", bodies(system.name, ends, lengths), words.clients, words.rounds)
        waiting(server, system.name, ends, 4 * words.tokens, words.rounds)


if __name__ == "__main__":
    main()
