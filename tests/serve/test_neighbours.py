"""What one client sends changes no other client's answer or status."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from benchmarks.serve_chaos import Target, alone, content, requests_of, run

from tiny import tiny
from veneer.models.load import load_model
from veneer.serve.served import Served
from veneer.systems.system import System
from veneer_server import Running, serving

BROKEN = 200  # a token whose embedding is not finite
FAILING = 77  # a token whose rows a test makes fail
NEVER = {str(token): -100 for token in (BROKEN, FAILING)}  # else a drawn answer may meet them
GOOD = [
    {"model": "base", "prompt": [10 + i, 20, 30 + i], "max_tokens": 12, "logprobs": 1}
    | ({"stream": True} if i % 2 else {})
    | ({"echo": True} if i == 2 else {})
    | ({"temperature": 1, "seed": i, "logit_bias": NEVER} if i > 2 else {"temperature": 0})
    for i in range(5)
]


def answer(server: Running, body: dict) -> list:
    status, raw, _ = Target(server.port).post("/v1/completions", body)
    assert status == 200, raw
    return content(raw, "stream" in body)


def ask_together(server: Running, *more: dict) -> tuple[list[list], list[int]]:
    """The answers to `GOOD` while the others ask at the same time, and the statuses of these."""
    begin = threading.Barrier(len(GOOD) + len(more))

    def good(body: dict) -> list:
        begin.wait()
        return answer(server, body)

    def other(body: dict) -> int:
        begin.wait()
        return Target(server.port).post("/v1/completions", body)[0]

    with ThreadPoolExecutor(len(GOOD) + len(more)) as pool:
        statuses = [pool.submit(other, b) for b in more]
        answers = list(pool.map(good, GOOD))
        return answers, [s.result() for s in statuses]


@pytest.fixture
def one():
    lm = tiny(tie_word_embeddings=False)
    with torch.no_grad():
        lm.model.get_input_embeddings().weight[BROKEN] = torch.inf
    with serving([Served(System.of_model(lm))]) as server:
        server.lm = lm
        yield server


def test_a_prompt_that_breaks_the_model_gets_its_own_error(one, caplog):
    """While it is decoded, scored, and scored with one token to follow."""
    wanted = [answer(one, b) for b in GOOD]
    bad = {"model": "base", "prompt": [10, BROKEN], "max_tokens": 12}
    more = (bad, {**bad, "echo": True, "logprobs": 1}, {**bad, "echo": True, "logprobs": 1, "n": 2})
    ones = [{**m, "max_tokens": 1} for m in more]
    assert ask_together(one, *more, *ones) == (wanted, [500] * 6)
    assert "not finite" in caplog.text and one.ask("/health")[1]["running"] == 0


SETTINGS = [
    ({"temperature": 1e-320}, 200),
    ({"temperature": 2, "top_p": 5e-324, "top_k": 1}, 200),
    ({"temperature": 1e-5, "min_p": 1.0, "presence_penalty": -2, "frequency_penalty": 2}, 200),
    ({"temperature": 1e-6, "repetition_penalty": 0.01}, 200),
    ({"temperature": 1, "logit_bias": {str(i): -100 for i in range(300)}}, 200),
    ({"temperature": 1, "repetition_penalty": 1e-300}, 400),
    ({"stop": ["a" * 500] * 32, "n": 8}, 200),
]


def test_settings_at_their_limits_leave_neighbours_alone():
    """The model is whole: answers that are drawn without a seed may hold any token."""
    more = [{"model": "base", "prompt": [40], "max_tokens": 12, **how} for how, _ in SETTINGS]
    with serving([Served(System.of_model(tiny(tie_word_embeddings=False)))]) as server:
        wanted = [answer(server, b) for b in GOOD]
        assert ask_together(server, *more) == (wanted, [status for _, status in SETTINGS])


@pytest.mark.parametrize("out_of_memory", [True, False])
def test_a_batch_that_fails_starts_again_in_halves(one, out_of_memory):
    """At the fifth token, when streams have sent half of their answers: nothing comes twice, and
    nothing is missing. Some rows fit, all do not."""
    wanted = [answer(one, b) for b in GOOD]
    steps: list[int] = []  # of four rows

    def fail(module, arguments) -> None:
        steps.extend([len(steps)] * (arguments[0].shape == (4, 1)))
        if len(steps) == 4:
            steps.clear()
            raise RuntimeError("CUDA out of memory" if out_of_memory else "an unforeseen fault")

    embeddings = one.lm.model.get_input_embeddings()
    hook = embeddings.register_forward_pre_hook(fail)
    bodies = [{**b, "logprobs": None} for b in GOOD if "echo" not in b]
    try:
        with ThreadPoolExecutor(4) as pool:
            begin = threading.Barrier(4)
            answered = list(pool.map(lambda b: (begin.wait(), answer(one, b))[1], bodies))
    finally:
        hook.remove()
    plain = [[(text, finish, 0) for text, finish, _ in w] for w in wanted]
    assert answered == [plain[i] for i in (0, 1, 3, 4)]


def test_an_answer_that_fails_alone_gets_the_error(one):
    def fail(module, arguments) -> None:
        if FAILING in arguments[0]:
            raise RuntimeError("CUDA out of memory" if fail.memory else "an unforeseen fault")

    hook = one.lm.model.get_input_embeddings().register_forward_pre_hook(fail)
    bad = {"model": "base", "prompt": [FAILING], "max_tokens": 2}
    try:
        for fail.memory, status in ((True, 503), (False, 500)):
            with ThreadPoolExecutor(3) as pool:
                bodies = [GOOD[0], bad, GOOD[4]]
                answered = list(
                    pool.map(lambda b: Target(one.port).post("/v1/completions", b)[0], bodies)
                )
            assert answered == [200, status, 200]
    finally:
        hook.remove()


def test_a_request_of_many_answers_lets_others_go_first():
    """One place to decode, so that each waits for those before it; and the last places of the
    queue are for requests of one answer."""
    lm = tiny(max_position_embeddings=2048)
    long = {"model": "base", "prompt": [10], "max_tokens": 20, "logit_bias": {"1": -100}}
    with serving([Served(System.of_model(lm))], most_rows=1, most_waiting=16) as server:
        ended = []

        def ask(name: str, **fields: object) -> int:
            status, _, _ = Target(server.port).post("/v1/completions", {**long, **fields})
            ended.append(name)
            return status

        with ThreadPoolExecutor(4) as pool:
            many = pool.submit(ask, "many", n=12)
            while server.scheduler.counts()["waiting"] < 8:
                time.sleep(0.001)
            more = pool.submit(ask, "more", n=8)
            assert more.result() == 503, "its places are for others"
            one = pool.submit(ask, "one", max_tokens=2)
            assert one.result() == 200 and many.result() == 200
        assert ended == ["more", "one", "many"]


def test_well_behaved_clients_among_hostile_ones():
    """The short version of `benchmarks/serve_chaos.py`, whose long one is in docs/serve.md."""
    with serving([Served(System.of_model(load_model("lab:base")))]) as server:
        target = Target(server.port, patience=1)
        expected = alone(target, requests_of(target)[::3])
        report = run(target, expected, 3, 20, pause=0.5)
    assert report.seconds and report.hostile
    assert (report.changed, report.lost, report.faults, report.health_lost) == ([], [], [], [])
