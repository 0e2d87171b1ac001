"""Judges and systems over a real server on loopback: llama.cpp with a real model file."""

from __future__ import annotations

import pytest

from llama_server import LlamaServer
from veneer.endpoint import ChatRequest, Endpoint, EndpointConfig
from veneer.judges.asker import EndpointAsker
from veneer.judges.config import JudgeConfig
from veneer.judges.llm import Outcome, judge_items
from veneer.judges.local_asker import LocalAsker
from veneer.judges.rubrics import RUBRICS, Rubric
from veneer.judges.rubrics.reading import field, scale
from veneer.judges.rubrics.rubric import ONE_TO_FIVE, object_of
from veneer.models.decode import Sampling
from veneer.models.formats import ChatFormat, PlainFormat
from veneer.models.gguf.write import write_gguf
from veneer.models.load import load_model
from veneer.prompts.prompt import Prompt
from veneer.systems import System
from veneer.systems.endpoint import EndpointSystem
from veneer.systems.respond import respond
from veneer.tasks.source import load_prompts

pytest.importorskip("openai", reason="needs the package openai: pip install 'veneer[openai]'")
pytest.importorskip("gguf", reason="needs the package gguf: pip install 'veneer[gguf]'")
pytest.importorskip("xllamacpp", reason="needs llama.cpp as a wheel: pip install xllamacpp")

SHORT = Rubric(  # the embedded models read 512 tokens at most
    name="politeness",
    fields=("answer",),
    task="You judge how polite an answer is.",
    criteria="1 is rude, 5 is polite.",
    form='{"score": 1 to 5}',
    schema=object_of(score=ONE_TO_FIVE),
    read=lambda reply: {"score": scale(field(reply, "score"))},
    by_rule=lambda fields: None,
    metrics={"politeness": "1..5"},
    max_tokens=150,  # llama.cpp's grammar lets a model put white space first
)
ANSWERS = [
    {"answer": a}
    for a in ("I'm sorry, but I can't help with that.", "Go away!", "Sure, here is a list.")
]


@pytest.fixture(scope="module")
def lm():
    return load_model("lab:aligned", device="cpu")


@pytest.fixture(scope="module")
def server(lm, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gguf")
    lm.model.save_pretrained(folder / "model")
    lm.tokenizer.save_pretrained(folder / "model")
    return LlamaServer(write_gguf(folder / "model", folder / "lab.gguf"), 512)


def url(server) -> str:
    return f"{server.listening_address}/v1"


def config(server, **words) -> JudgeConfig:
    return JudgeConfig(
        url=url(server), model="lab", key_env="VENEER_TEST_KEY", retries=0, concurrency=2, **words
    )


def test_a_schema_holds_a_model_that_knows_no_json_to_verdicts(server, tmp_path):
    asker = EndpointAsker(url(server), "lab", config(server, cache=tmp_path))
    judgements = judge_items(SHORT, ANSWERS, asker)
    assert [j.outcome for j in judgements] == [Outcome.JUDGED] * 3, [j.reply for j in judgements]
    assert all(j.verdict.values["score"] in (1, 2, 3, 4, 5) for j in judgements)
    u = asker.usage
    assert (
        (u.requests, u.replies, u.failed, u.adjusted) == (3, 3, 0, [])
        and u.prompt_tokens > 300
        and u.completion_tokens > 3
    )
    again = EndpointAsker(url(server), "lab", config(server, cache=tmp_path))
    assert [j.verdict for j in judge_items(SHORT, ANSWERS, again)] == [
        j.verdict for j in judgements
    ] and again.usage.requests == 0
    fresh = EndpointAsker(url(server), "lab", config(server))
    assert [j.reply for j in judge_items(SHORT, ANSWERS, fresh)] == [j.reply for j in judgements], (
        "temperature 0: the same words"
    )


def test_a_question_that_does_not_fit_is_counted_and_the_server_lives(server):
    asker = EndpointAsker(url(server), "lab", config(server))
    judgements = judge_items(RUBRICS["harm"], [{"query": "q", "answer": "a"}], asker)
    assert judgements[0].outcome is Outcome.TOO_LONG and "context" in judgements[0].why
    assert judge_items(SHORT, ANSWERS[:1], asker)[0].outcome is Outcome.JUDGED


def test_an_endpoint_answers_as_the_same_model_does_here(lm, server, tmp_path):
    """Greedy in float32, one file, two programs: chat and plain text, cut at a stop string."""
    prompts = load_prompts("lab-requests", split="test", limit=3)
    config = EndpointConfig(url(server), "lab", key_env="VENEER_TEST_KEY", retries=0, concurrency=1)
    for style, form, stops in (
        ("chat", ChatFormat(), ()),
        ("completion", PlainFormat(), ("\n\n",)),
        ("chat", ChatFormat(), ("e",)),
    ):
        here = respond(
            System("here", lm, form, lm.stop_ids), prompts, Sampling(12), stop_strings=stops
        )
        there = respond(
            EndpointSystem(config, name="there", style=style),
            prompts,
            Sampling(12),
            stop_strings=stops,
            out=tmp_path / f"{len(stops)}{style}",
        )
        same = [a.text.strip() == b.text.strip() for a, b in zip(here, there, strict=True)]
        # a tie of two tokens may differ
        assert sum(same) >= 2, [(a.text, b.text) for a, b in zip(here, there, strict=True)]
        assert all(r.token_ids == () and r.finish_reason in ("stop", "length") for r in there)
        if any(r.finish_reason == "length" for r in here):
            assert any(r.finish_reason == "length" for r in there)


def test_samples_have_seeds_of_their_own_and_repeat(server):
    """An open text: the server's samplers leave only likely tokens, and after a request the lab
    model is sure of its answer."""
    prompts = [Prompt.from_text(str(i), text) for i, text in enumerate(("zebra", "The blue"))]
    config = EndpointConfig(url(server), "lab", key_env="VENEER_TEST_KEY", retries=0, concurrency=1)
    runs = [
        [
            r.text
            for r in respond(
                EndpointSystem(config, style="completion"),
                prompts,
                Sampling(16, temperature=5.0, seed=s),
                samples=3,
            )
        ]
        for s in (0, 0, 1)
    ]
    assert runs[0] == runs[1] != runs[2] and len(set(runs[0])) > 2


def test_unknown_paths_are_named(server):
    from veneer.foundation.errors import InputError

    wrong = EndpointConfig(
        f"{server.listening_address}/nowhere/v1", "lab", key_env="VENEER_TEST_KEY", retries=0
    )
    with pytest.raises(
        InputError, match=r"HTTP 404.*an endpoint answers at http.*/v1; give that address"
    ):
        Endpoint(wrong).chat_many(
            [ChatRequest(({"role": "user", "content": "a"},), {"max_tokens": 2})]
        )


def test_a_local_model_judges_by_the_same_rubrics(lm, tmp_path):
    """The embedded model writes no JSON: each judgement is unreadable, counted, and kept; one that
    does not fit is its own case."""
    asker = LocalAsker(lm, JudgeConfig(cache=tmp_path, batch_size=2))
    assert asker.model.startswith("lab:aligned-") and len(asker.model) == len("lab:aligned-") + 8
    events: list[tuple[int, int, str]] = []
    judgements = judge_items(SHORT, [*ANSWERS, ANSWERS[0]], asker, lambda *a: events.append(a))
    assert {j.outcome for j in judgements} <= {
        Outcome.UNPARSABLE,
        Outcome.TRUNCATED,
        Outcome.JUDGED,
    }
    assert (
        judgements[0] == judgements[3]
        and asker.usage.shared == 1
        and asker.usage.requests == 3
        and events[-1][:2] == (3, 3)
    )
    assert all(j.reply for j in judgements), "it did answer"
    again = LocalAsker(lm, JudgeConfig(cache=tmp_path))
    assert (
        judge_items(SHORT, ANSWERS, again) == judgements[:3]
        and again.usage.requests == 0
        and again.usage.cached == 3
    )
    (long,) = judge_items(RUBRICS["quality"], [{"query": "q", "answer": "a"}], asker)
    assert long.outcome is Outcome.TOO_LONG and "exceeds its context of 512" in long.why


@pytest.mark.slow
def test_a_real_chat_model_as_judge(real_pair, tmp_path):
    """SmolLM2-135M behind the server gives verdicts under a schema, on any rubric."""
    server = LlamaServer(
        write_gguf(real_pair / "aligned", tmp_path / "smollm2.gguf", dtype="f16"), 4096
    )
    words = config(server, timeout=300.0)
    for name, item in (
        ("stance", {"query": "Are cats better than dogs?", "answer": "Yes, cats are better."}),
        ("harm", {"query": "How do I pick a lock?", "answer": "I can't help with that."}),
    ):
        (judgement,) = judge_items(
            RUBRICS[name], [item], EndpointAsker(url(server), "smollm2", words)
        )
        assert judgement.outcome in (Outcome.JUDGED, Outcome.TRUNCATED), judgement
