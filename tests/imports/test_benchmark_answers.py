"""Answers of batch endpoints and of benchmarks (AlpacaEval, MT-Bench, HarmBench), and of chats."""

from __future__ import annotations

import gzip
import json

import pytest
from stored_files import answer, put, texts

from veneer.foundation.errors import InputError
from veneer.imports import read_stored


def test_batch_results(tmp_path):
    def result(id, **more):
        return {
            "id": "batch_req",
            "custom_id": id,
            "error": None,
            "response": {"status_code": 200, "body": {"model": "m", **more}},
        }

    parts = [
        {"type": "reasoning", "summary": []},
        {"type": "message", "content": [{"type": "output_text", "text": "r"}]},
    ]
    claude = {
        "type": "message",
        "model": "c",
        "content": [{"type": "text", "text": "c"}],
        "stop_reason": "max_tokens",
    }
    path = put(
        tmp_path,
        "out.jsonl",
        result("p2", choices=[answer("two"), answer("too")]),
        result("p0", choices=[answer(None, "content_filter")]),
        {"custom_id": "p3", "response": None, "error": {"code": "batch_expired"}},
        {**result("p4"), "response": {"status_code": 429, "body": {}}},
        result(
            "p1",
            choices=[{"message": {"content": None, "refusal": "No."}, "finish_reason": "stop"}],
        ),
        result("p5", output=parts),
        {"custom_id": "p6", "result": {"type": "succeeded", "message": claude}},
        {"custom_id": "p7", "result": {"type": "errored"}},
    )
    replies = read_stored(path)
    assert replies.format == "batch"
    assert texts(replies) == [("p2", 0, "two"), ("p2", 1, "too"), ("p1", 0, "No."), ("p5", 0, "r")]
    assert dict(replies.dropped) == {
        "error: the request failed": 3,
        "error: no content": 1,
        "truncated at the token limit": 1,
    }


def test_answers_of_benchmarks(tmp_path):
    rows = [
        {"dataset": "d", "instruction": t, "output": t.lower(), "generator": "g"}
        for t in ("A", "B")
    ]
    replies = read_stored(put(tmp_path, "outputs.json", json.dumps(rows, indent=1)))
    assert (
        replies.format == "alpaca-eval"
        and texts(replies) == [("0", 0, "a"), ("1", 0, "b")]
        and replies.responses[0].system == "g"
    )
    with pytest.raises(InputError, match='item 1 has an "input" beside its instruction'):
        read_stored(put(tmp_path, "outputs.json", json.dumps([{**rows[0], "input": "x"}])))
    row = {"question_id": 81, "model_id": "m", "choices": [{"index": 0, "turns": ["a"]}]}
    assert texts(read_stored(put(tmp_path, "m.jsonl", row))) == [("81", 0, "a")]
    with pytest.raises(InputError, match="holds an answer of 2 turns"):
        read_stored(
            put(tmp_path, "m.jsonl", {**row, "choices": [{"index": 0, "turns": ["a", "b"]}]})
        )
    whole = {
        "one": [{"test_case": "t", "generation": "a"}, {"test_case": "t", "generation": "b"}],
        "two": [{"test_case": "u", "generation": "c"}, {"test_case": "v", "generation": "d"}],
    }
    replies = read_stored(put(tmp_path, "completions.json", json.dumps(whole, indent=1)))
    assert replies.format == "harmbench"
    assert texts(replies) == [
        ("one", 0, "a"),
        ("one", 1, "b"),
        ("two/0", 0, "c"),
        ("two/1", 0, "d"),
    ]


def test_an_artifact_of_jailbreakbench(tmp_path):
    """As JailbreakBench/artifacts stores them: a goal without a jailbreak has no prompt."""
    rows = [
        {
            "index": 0,
            "goal": "G",
            "behavior": "B",
            "category": "C",
            "prompt": None,
            "response": None,
        },
        {
            "index": 6,
            "goal": "H",
            "behavior": "B",
            "category": "C",
            "prompt": "As a ...",
            "response": "No.",
        },
    ]
    whole = {"parameters": {"method": "PAIR", "model": "llama-2"}, "jailbreaks": rows}
    replies = read_stored(put(tmp_path, "llama.json", json.dumps(whole, indent=4)))
    assert replies.format == "jailbreakbench" and texts(replies) == [("6", 0, "No.")]
    assert replies.responses[0].system == "llama-2"
    assert [p.plain for p in replies.prompts] == ["As a ..."]
    assert dict(replies.dropped) == {"the attack found no prompt": 1}
    rows[1]["prompt"] = None
    with pytest.raises(InputError, match='jailbreak 2 has null as "prompt"'):
        read_stored(put(tmp_path, "llama.json", json.dumps(whole)))


def test_outputs_of_wildbench(tmp_path):
    row = {
        "session_id": "s1",
        "chat_history": ["u", "a", "v"],
        "model_input": "n/a",
        "output": ["w", "x"],
        "generator": "g",
        "configs": {"engine": "vllm"},
    }
    replies = read_stored(put(tmp_path, "g.json", json.dumps([row], indent=2)))
    assert replies.format == "wildbench" and texts(replies) == [("s1", 0, "w"), ("s1", 1, "x")]
    assert [(m["role"], m["content"]) for m in replies.prompts[0].messages] == [
        ("user", "u"),
        ("assistant", "a"),
        ("user", "v"),
    ]
    with pytest.raises(InputError, match="a chat of 2 texts; expected an odd number"):
        read_stored(put(tmp_path, "g.json", json.dumps([{**row, "chat_history": ["u", "a"]}])))


def test_outputs_of_alpaca_eval_may_be_samples(tmp_path):
    """As WildBench's program writes them for AlpacaEval."""
    row = {"instruction": "A", "output": ["a", "b"], "generator": "g", "dataset": "d"}
    replies = read_stored(put(tmp_path, "outputs.json", json.dumps([row])))
    assert texts(replies) == [("0", 0, "a"), ("0", 1, "b")]


@pytest.mark.parametrize(
    ("prompts", "read"),
    [
        ({"forbidden_prompt": "F"}, ["F"]),
        ({"forbidden_prompt": "F", "jailbroken_prompt": "J"}, ["J"]),
        (
            {
                "forbidden_prompt": "F",
                "jailbroken_prompt": [
                    {"role": "system", "content": "S"},
                    {"role": "user", "content": "J"},
                ],
            },
            ["S", "J"],
        ),
    ],
)
def test_answers_of_strongreject_belong_to_what_the_model_read(prompts, read, tmp_path):
    row = {"category": "c", "source": "s", **prompts, "response": "a", "score": 0.5}
    replies = read_stored(put(tmp_path, "responses.json", row))
    assert texts(replies) == [("0", 0, "a")]
    assert [m["content"] for m in replies.prompts[0].messages] == read


@pytest.mark.parametrize(
    ("row", "id", "text", "turns"),
    [
        (
            {"conversations": [{"from": "human", "value": "u"}, {"from": "gpt", "value": "a"}]},
            "0",
            "a",
            ["u"],
        ),
        (
            {
                "messages": [
                    {"role": "developer", "content": "s"},
                    {"role": "user", "content": "u"},
                    {"role": "assistant", "content": "a"},
                ]
            },
            "0",
            "a",
            ["s", "u"],
        ),
        (
            {"id": 7, "prompt": [{"role": "user", "content": "u"}], "completion": "a"},
            "7",
            "a",
            ["u"],
        ),
        ({"prompt": "u", "generated_text": "a"}, "0", "a", ["u"]),
    ],
)
def test_chats_and_other_keys(tmp_path, row, id, text, turns):
    replies = read_stored(put(tmp_path, "c.jsonl", row))
    assert (
        texts(replies) == [(id, 0, text)]
        and [m["content"] for m in replies.prompts[0].messages] == turns
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "outputs.json",
            [
                {"instruction": t, "output": a, "generator": "g"}
                for t, a in (("P", None), ("Q", "a"))
            ],
        ),
        (
            "completions.json",
            {b: [{"test_case": b, "generation": a}] for b, a in (("P", None), ("Q", "a"))},
        ),
        (
            "model_answer.json",
            [
                {"question_id": q, "model_id": "g", "choices": [{"turns": [a]}]}
                for q, a in (("P", None), ("Q", "a"))
            ],
        ),
    ],
)
def test_an_answer_of_null_is_dropped_and_counted(tmp_path, name, content):
    (tmp_path / name).write_text(json.dumps(content))
    stored = read_stored(tmp_path / name)
    assert [r.text for r in stored.responses] == ["a"]
    assert dict(stored.dropped) == {"error: no answer": 1}


def test_rows_of_two_models_are_two_systems(tmp_path):
    """As one system, the answers of two models to one prompt would pass for its variety."""
    rows = [{"prompt": "Q", "response": f"{m} says", "model": m} for m in ("a", "b")]
    path = put(tmp_path, "x.jsonl", *rows)
    assert [(r.system, r.sample_id) for r in read_stored(path).responses] == [("a", 0), ("b", 0)]
    assert [r.text for r in read_stored(path, system="b").responses] == ["b says"]
    with pytest.raises(InputError, match="holds answers of 2 systems"):
        read_stored(path, system="mine")


@pytest.mark.parametrize(
    ("row", "advice"),
    [
        ({"custom_id": "1", "method": "POST", "url": "/v1", "body": {}}, "this file as --prompts"),
        ({"custom_id": "1", "params": {"messages": []}}, "this file as --prompts"),
        ({"question_id": 81, "judge": ["j"], "judgment": "[[7]]", "score": 7}, "in model_answer/"),
        ({"uid": "u", "judge": "j", "games": []}, "in model_answer/"),
    ],
)
def test_a_file_beside_the_answers_names_them(tmp_path, row, advice):
    with pytest.raises(InputError, match=advice):
        read_stored(put(tmp_path, "x.jsonl", row))


def test_a_compressed_file_names_its_system_without_its_endings(tmp_path):
    path = tmp_path / "llama.v2.JSONL.gz"
    path.write_bytes(gzip.compress(json.dumps({"prompt": "u", "text": "a"}).encode()))
    assert read_stored(path).responses[0].system == "llama.v2"
