"""Answers, judges' outputs, scores and vectors of the second paper's data."""

from __future__ import annotations

import numpy as np
import pytest
from stored_files import answer, put, texts

from veneer.foundation.errors import InputError
from veneer.imports import AS_STORED, Rules, read_stored
from veneer.imports.imported import own_answer
from veneer.imports.overton import (
    query_of,
    read_bertscore,
    read_embeddings,
    read_instances,
    read_judged,
)
from veneer.imports.tables import other_rows


def test_open_models(open_file):
    replies = read_stored(open_file)
    assert replies.format == "overton-open" and texts(replies) == [
        ("0", 0, "One."),
        ("0", 1, "Two"),
    ]
    assert (
        replies.responses[0].system == "llama"
        and replies.prompts[0].messages[0]["content"] == "What now?"
    )
    assert dict(replies.dropped) == {"error: `inputs` must be <= N. Given: N": 2, "empty": 1}
    assert replies.noticed == {
        "no closing fence: mostly truncated or running on": 1,
        "closing fence removed": 2,
    }
    assert replies.summary()[0].endswith("(overton-open): 2 answers to 1 prompts")


def test_rules_can_be_turned_off(open_file):
    replies = read_stored(open_file, rules=AS_STORED)
    assert (
        texts(replies) == [("0", 0, "One.\n```"), ("0", 1, "Two"), ("0", 2, "\n```")]
        and replies.dropped.total() == 2
    )
    assert replies.noticed["empty"] == 1


def test_api_models_and_truncation(tmp_path):
    path = put(
        tmp_path,
        "gpt/samples.jsonl",
        {
            "ok": True,
            "outputs": [answer("a"), answer("cut", "length"), answer(None, "content_filter")],
        },
        {"ok": False, "outputs": []},
        {"ok": True, "outputs": [answer("b")]},
    )
    replies = read_stored(path)
    assert texts(replies) == [("0", 0, "a"), ("2", 0, "b")]
    assert dict(replies.dropped) == {
        "truncated at the token limit": 1,
        "error: no content": 1,
        "error: the request failed": 1,
    }
    kept = read_stored(path, rules=Rules(drop_truncated=False))
    assert (
        kept.responses[1].finish_reason == "length"
        and kept.noticed["truncated at the token limit"] == 1
    )


def test_answers_that_go_on():
    text = "A summary.\n```\n\n# Answer:\n```\nThe answer.\n```\n\n# Query:\n```\nAnother?\n```"
    assert own_answer(text) == "The answer."
    assert own_answer("Plain.\n```\n\n# Query:\n```\nx\n```\n\n# Answer:\n```\ny\n```") == "Plain."
    assert own_answer("Plain.") == "Plain." and query_of("no form") == "no form"


def test_judge_outputs_know_their_answers(tmp_path):
    row = {"ok": True, "outputs": [answer("{}")]}
    path = put(tmp_path, "q/outputs/m/samples.jsonl", row, row, {"ok": False, "outputs": []}, row)
    assert [(j.prompt_id, j.sample_id) for j in read_judged(path, prompts=2)] == [
        ("0", 0),
        ("0", 1),
        ("1", 0),
        ("1", 1),
    ]
    assert read_judged(path, prompts=4)[2].content is None
    with pytest.raises(InputError, match="4 judge outputs for 3 prompts"):
        read_judged(path, prompts=3)
    put(
        tmp_path,
        "q/instances/m/data.jsonl",
        *({"metadata": {"instance_id": i}} for i in (5, 5, 5, 9)),
    )
    assert [(j.prompt_id, j.sample_id) for j in read_judged(path)] == [
        ("5", 0),
        ("5", 1),
        ("5", 2),
        ("9", 0),
    ]
    rows, summary = other_rows(path, "overton-judge")
    assert (
        rows[2] == {"prompt_id": "5", "sample_id": 2, "content": None}
        and summary == "judge outputs, ended stop 3, failed 1"
    )


def test_bertscore_and_embeddings(tmp_path):
    stored = {
        "ref_model": "m",
        "alt_model": "m",
        "instance_ids": [0, 0],
        "ref_sample_ids": [0, 0],
        "alt_sample_ids": [0, 1],
        "ref_texts": ["a", "a"],
        "alt_texts": ["a", "b"],
        "results": {"precision": [1, 0.5], "recall": [1, 0.5], "f1": [1, 0.5], "hashcode": "h"},
    }
    path = put(tmp_path, "b.json", stored)
    scores = read_bertscore(path)
    assert scores.self_pairs.tolist() == [True, False] and scores.f1[
        ~scores.self_pairs
    ].tolist() == [0.5]
    assert other_rows(path, "bertscore")[1] == "h; 1 pairs of an answer with itself"
    for broken in (
        {**stored, "alt_sample_ids": [0]},
        {**stored, "instance_ids": ["x", "y"]},
        {**stored, "results": []},
        [1],
    ):
        with pytest.raises(InputError, match=r"b\.json"):
            read_bertscore(put(tmp_path, "b.json", broken))
    np.savez(
        tmp_path / "e.npz",
        embeddings=np.ones((2, 3), np.float32),
        strings=np.array(["a", "b"]),
        args=np.array("{}"),
    )
    assert read_embeddings(tmp_path / "e.npz").strings == ("a", "b")
    np.savez(
        tmp_path / "o.npz",
        embeddings=np.ones((1, 2)),
        strings=np.array([{"an": "object"}], dtype=object),
    )
    for name in ("o.npz", "none.npz", "b.json"):
        with pytest.raises(InputError, match=name):
            read_embeddings(tmp_path / name)


def test_the_published_answers(data):
    folder = data / "overton" / "LIMA-OE"
    if not folder.is_dir():
        pytest.skip("needs the second paper's data in VENEER_DATA/overton")
    failed = read_stored(folder / "outputs/llama-2-icl-chat-5nn-prompt_similar/samples.jsonl")
    assert len(failed.responses) == 10 and failed.dropped.total() == 240
    base = read_stored(folder / "outputs/llama-2-base/samples.jsonl")
    assert base.noticed[
        "no closing fence: mostly truncated or running on"
    ] == 16 and base.dropped == {"empty": 1}
    prompts = read_instances(folder / "instances/data.jsonl")
    assert [p.plain for p in prompts[:3]] == [p.messages[0]["content"] for p in base.prompts[:3]]
    summary = read_stored(
        folder / "outputs/llama-2-icl-chat-summary-cot/samples.jsonl", rules=Rules(answer_only=True)
    )
    assert not any("# Query:" in r.text or "# Answer:" in r.text for r in summary.responses)
