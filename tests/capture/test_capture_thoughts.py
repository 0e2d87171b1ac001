"""Captures of a model that thinks: base reads all that it wrote, the manifest says so, and the
responses hold the two parts apart."""

from __future__ import annotations

import logging

import pytest

from thinking import chain, with_marks
from tiny import tiny
from veneer.capture import CaptureConfig, capture
from veneer.capture.run import capture_from
from veneer.foundation.files import read_json
from veneer.imports.teacher import REASONING, UNFINISHED, read_teacher
from veneer.models.decode import Sampling
from veneer.models.formats import ChatFormat, PlainFormat
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.systems.respond import respond
from veneer.systems.responses import Response, write_responses
from veneer.systems.system import System

PROMPTS = [Prompt.from_text(f"p{i}", "How? " + "a" * i) for i in range(3)]


@pytest.fixture(scope="module")
def pair() -> Pair:
    own = with_marks(("[THINK]", "[/THINK]"))
    words = ("<|assistant|>", "[THINK]", "12", "[/THINK]", "yes")
    return Pair(
        chain(own, *words, name="base"),
        chain(own, *words, name="aligned"),
        PlainFormat(),
        ChatFormat(),
    )


def config(tokens: int) -> CaptureConfig:
    return CaptureConfig(k=8, batch_size=4, noise_prompts=1, sampling=Sampling(tokens))


def test_the_manifest_tells_that_reasoning_is_kept(pair, tmp_path):
    recorded = capture(pair, PROMPTS, tmp_path / "c", config(20))
    assert read_json(tmp_path / "c" / "manifest.json", "")["reasoning"] == {
        "part": "kept",
        "responses": 3,
        "unfinished": 0,
    }
    for row in recorded.responses():
        assert (row["reasoning"], row["text"], len(row["token_ids"])) == ("12", "yes", 7)
    before = (tmp_path / "c" / "manifest.json").read_bytes()
    assert capture(pair, PROMPTS, tmp_path / "c", config(20)).tokens == 3 * 7
    assert (tmp_path / "c" / "manifest.json").read_bytes() == before


def test_a_warning_tells_where_most_responses_have_no_answer(pair, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "veneer"):
        capture(pair, PROMPTS, tmp_path / "c", config(2))
    assert "3 of 3 responses of aligned end within their reasoning" in caplog.text
    assert read_json(tmp_path / "c" / "manifest.json", "")["reasoning"] == {
        "part": "kept",
        "responses": 3,
        "unfinished": 3,
    }


def test_a_capture_without_reasoning_says_nothing_of_it(tmp_path):
    recorded = capture(Pair(tiny(seed=0), tiny(seed=1)), PROMPTS, tmp_path / "c", config(4))
    assert "reasoning" not in recorded.manifest and all(
        "reasoning" not in row for row in recorded.responses()
    )


def test_stored_answers_give_their_tokens_or_the_answers_alone(pair, tmp_path):
    answers = tmp_path / "answers.jsonl"
    respond(
        System("aligned", pair.aligned, ChatFormat(), pair.aligned.stop_ids),
        PROMPTS,
        Sampling(20),
        out=answers,
    )
    whole = capture_from(
        pair.base,
        read_teacher(answers, pair.base, PROMPTS).teacher,
        PROMPTS,
        tmp_path / "whole",
        config(20),
    )
    assert (
        whole.manifest["reasoning"] == {"part": "kept", "responses": 3, "unfinished": 0}
        and whole.tokens == 3 * 7
    )
    source = read_teacher(answers, pair.base, PROMPTS, answers_only=True)
    alone = capture_from(pair.base, source.teacher, PROMPTS, tmp_path / "alone", config(20))
    assert (
        alone.manifest["reasoning"] == {"part": "dropped", "responses": 3}
        and source.noticed[REASONING] == 3
    )
    assert [row["text"] for row in alone.responses()] == ["yes"] * 3 and alone.tokens == 3 * 3


def test_an_answer_that_was_cut_within_its_reasoning_teaches_nothing(pair, tmp_path):
    rows = [Response(p.id, 0, "x", p.task, "yes", (), "stop", 0) for p in PROMPTS]
    rows[1] = Response("p1", 0, "x", "prompts", "", (), "length", 0, "12")
    write_responses(tmp_path / "answers.jsonl", rows)
    source = read_teacher(tmp_path / "answers.jsonl", pair.base, PROMPTS, answers_only=True)
    assert [p.id for p in source.prompts] == ["p0", "p2"] and source.noticed[UNFINISHED] == 1
