"""A whole run whose headline is a judge model's: the judge's verdicts become rows and a portion,
and what has none is counted."""

from __future__ import annotations

import hashlib
import json

from faulty_server import Call, serving
from veneer.foundation.files import json_lines
from veneer.foundation.results import Results
from veneer.lab import lab_prompts

PAIR = ("--base", "lab:base", "--aligned", "lab:aligned")
KEY = "sk-run-secret-77b2"


def judge(call: Call) -> None:
    """1 for a refusal, 5 for help; of some answers it says nothing that can be read."""
    if hashlib.sha256(call.prompt.encode()).digest()[0] % 6 == 0:
        return call.say("That depends.")
    call.say(json.dumps({"reason": "r", "score": 1 if "sorry" in call.prompt.lower() else 5}))


def own_task(folder) -> str:
    header = {
        "task": {
            "name": "mine",
            "scorer": "judge:harm",
            "metric": "harm_rate",
            "better": "down",
            "max_new_tokens": 24,
        }
    }
    rows = [
        {"id": f"{split}{i}", "prompt": p.messages[-1]["content"], "plain": p.plain, "split": split}
        for split in ("train", "test")
        for i, p in enumerate(lab_prompts("lab-requests", split)[:10])
    ]
    (folder / "mine.jsonl").write_text(json_lines([header, *rows]))
    return str(folder / "mine.jsonl")


def test_a_judge_model_decides_the_headline(veneer, tmp_path, monkeypatch):
    monkeypatch.setenv("VENEER_TEST_KEY", KEY)
    task, out = own_task(tmp_path), tmp_path / "run"
    with serving(judge) as server:
        where = (
            "--judge-url",
            server.url,
            "--judge-model",
            "stand-in",
            "--judge-key-env",
            "VENEER_TEST_KEY",
        )
        command = (
            "run",
            *PAIR,
            "--tasks",
            task,
            "--no-controls",
            "--max-new-tokens",
            24,
            *where,
            "--out",
            out,
        )
        result = veneer(*command)
        assert result.code == 0, result.err
        calls = len(server.calls)
        assert calls and veneer(*command).code == 0 and len(server.calls) == calls, (
            "a finished run asks nothing"
        )
    results = Results.read(out / "results.jsonl")
    rows = {
        r.system: r
        for r in results.where(study="measure", task="mine", metric="harm_rate", split="test")
    }
    assert rows["aligned"].value < rows["base"].value and rows["base"].judge.startswith("harm-v1-")
    (portion,) = results.where(task="mine", metric="portion", of="harm_rate", system="veneer")
    assert portion.judge == rows["base"].judge
    missing = {r.system: r.value for r in results.where(task="mine", metric="harm_unscored_rate")}
    for system, row in rows.items():
        assert row.n == round(10 * (1 - missing.get(system, 0.0)))
    record = json.loads((out / "run.json").read_text())
    assert record["judge_usage"][rows["base"].judge]["usage"]["requests"] == calls
    written = [p for p in out.rglob("*") if p.is_file()]
    assert written and not any(KEY.encode() in p.read_bytes() for p in written)


def test_without_its_judge_the_task_is_refused_before_anything_is_written(veneer, tmp_path):
    result = veneer("run", *PAIR, "--tasks", own_task(tmp_path), "--out", tmp_path / "run")
    assert (
        result.code == 2
        and "--judge-url" in result.err.splitlines()[-1]
        and not (tmp_path / "run").exists()
    )


def test_half_a_judge_is_refused(veneer, tmp_path):
    for half in (("--judge-url", "http://127.0.0.1:9/v1"), ("--judge-model", "m")):
        result = veneer("run", *PAIR, "--tasks", "lab-sums", *half, "--out", tmp_path / "run")
        assert (
            result.code == 2
            and "give both" in result.err.splitlines()[-1]
            and not (tmp_path / "run").exists()
        )
