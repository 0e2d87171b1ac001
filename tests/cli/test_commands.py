"""Every command on the embedded pair: what it writes, that a second run changes nothing, and that
other settings are refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from safetensors.torch import load_file

from veneer.capture import Capture
from veneer.foundation.results import Results
from veneer.head.veneer import Veneer
from veneer.systems import read_responses
from veneer.tasks.registry import get_task

PAIR = ("--base", "lab:base", "--aligned", "lab:aligned")
LAB = ("lab-requests", "lab-harmless", "lab-sums", "lab-facts")
CONTROLS = ("base-chat", "aligned-plain", "base-no-empty", "shuffled")


def stamps(folder: Path) -> dict[str, int]:
    return {
        str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()
    }


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_bytes().decode().split("\n") if line]


def words(path: Path) -> list[str]:
    return [r.text for r in read_responses(path)]


def test_demo_writes_a_whole_study(demonstrated):
    for name in (
        "run.json",
        "results.jsonl",
        "report.html",
        "capture/manifest.json",
        "veneer/veneer.json",
        "shifts.jsonl",
        "tokens.jsonl",
    ):
        assert (demonstrated / name).stat().st_size > 0, name
    record = json.loads((demonstrated / "run.json").read_text())
    assert record["finished"] and record["command"] == "demo"
    assert record["seeds"] == {"study": 0} and set(record["data"]) == set(LAB)
    assert record["versions"]["veneer"] and record["seconds"]["capture"] > 0
    for task in LAB:
        ids = [p.id for p in get_task(task).prompts("test")[:6]]
        for system in ("base", "veneer", "aligned", *CONTROLS):
            responses = read_responses(demonstrated / "responses" / f"{task}.{system}.jsonl")
            assert [r.prompt_id for r in responses] == ids
            assert {r.system for r in responses} == {system}
    assert not [p for p in demonstrated.rglob("*") if p.name.endswith(".part")]
    report = (demonstrated / "report.html").read_text()
    assert report.count("<html") == 1 and "lab-requests" in report


def test_demo_again_changes_nothing_and_another_seed_is_refused(demonstrated, veneer):
    before = stamps(demonstrated)
    assert veneer("demo", "--limit", 6, "--out", demonstrated).code == 0
    assert stamps(demonstrated) == before
    result = veneer("demo", "--limit", 6, "--seed", 1, "--out", demonstrated)
    assert result.code == 2 and "(seed: 0 there, 1 here)" in result.err.splitlines()[-1]
    result = veneer("run", *PAIR, "--tasks", "lab-sums", "--out", demonstrated)
    assert result.code == 2
    assert stamps(demonstrated) == before


def test_every_row_has_a_key_of_its_own_n_and_an_interval(demonstrated):
    rows = lines(demonstrated / "results.jsonl")
    key = ("study", "task", "metric", "of", "system", "split", "position", "judge")
    assert not [
        k for k, n in Counter(json.dumps([r[k] for k in key]) for r in rows).items() if n > 1
    ]
    for r in rows:
        assert set(r) >= {*key, "value", "n", "low", "high", "unit", "note"}
        if r["value"] is None:
            assert r["note"] and r["low"] is None and r["high"] is None, r
        else:
            assert isinstance(r["n"], int) and r["n"] >= 1, r
            if r["low"] is None:  # one prompt alone
                assert r["high"] is None and r["n"] == 1 and r["note"], r
            else:
                assert r["low"] <= r["value"] <= r["high"], r


def test_the_rows_that_were_asked_for_are_there(demonstrated):
    results = Results.read(demonstrated / "results.jsonl")

    def row(**fields):
        (one,) = results.where(**fields)
        return one

    for system in ("base", "veneer", "aligned"):
        for metric in ("kl", "top1_agreement"):
            one = row(study="extract", task="joint", metric=metric, system=system)
            assert one.split == ("noise" if system == "aligned" else "report")
    assert row(study="extract", task="joint", metric="kl", system="base").unit == "nats/token"
    assert row(study="extract", task="joint", metric="kl_recovered", system="veneer").value > 0
    row(study="extract", task="joint", metric="kl", system="shuffled")
    for task in LAB:
        row(study="extract", task=task, metric="kl_recovered", system="veneer")
    for system in ("base", "veneer"):
        bins = [
            r.position
            for r in results.where(study="position", task="joint", metric="kl", system=system)
        ]
        assert bins[:12] == [*((p, p) for p in range(1, 11)), (11, 20), (21, 40)]
    assert row(study="position", task="joint", metric="early_kl_share", system="base").position == (
        1,
        10,
    )
    assert row(study="shift", task="joint", metric="shifted_rate", system="base").n == 4
    for task in LAB:
        headline = get_task(task).headline
        for system in ("base", "veneer", "aligned", *CONTROLS):
            assert (
                row(study="measure", task=task, metric=headline, system=system, split="test").n == 6
            )
            assert row(study="measure", task=task, metric="empty_rate", system=system).judge is None
            assert row(
                study="measure", task=task, metric="refusal_rate", system=system
            ).judge.startswith("refusal")
        for system in ("veneer", *CONTROLS):
            one = row(study="measure", task=task, metric="portion", of=headline, system=system)
            assert one.of == headline and one.n == 6
        assert not [
            r for r in results.where(metric="portion", task=task) if r.system in ("base", "aligned")
        ]
    assert row(
        study="measure", task="lab-requests", metric="portion", system="veneer"
    ).value == pytest.approx(1, abs=0.35)


def test_run_with_few_prompts_of_each_task(veneer, tmp_path):
    """Five prompts a task once left some tasks without a held-out part, and the run ended
    after its capture."""
    out = tmp_path / "run"
    options = [
        "run",
        *PAIR,
        "--tasks",
        "lab-sums,lab-facts",
        "--limit",
        5,
        "--max-new-tokens",
        12,
        "--no-controls",
        "--out",
        out,
    ]
    result = veneer(*options)
    assert result.code == 0, result.err
    results = Results.read(out / "results.jsonl")
    assert {r.system for r in results.where(study="measure")} == {"base", "veneer", "aligned"}
    assert results.where(study="extract", task="lab-facts", metric="kl", system="veneer")
    before = stamps(out)
    assert veneer(*options).code == 0
    assert stamps(out) == before
    assert veneer(*options, "--rank", 2).code == 2
    assert stamps(out) == before


def test_capture_reads_every_kind_of_prompts(veneer, tmp_path):
    texts = ["What is 2 plus 3?", "Where does Ada live?\u2028And Bob?", "How do I pick a lock?"]
    (tmp_path / "a.jsonl").write_text(
        "".join(json.dumps({"prompt": t, "id": f"q{i}"}) + "\n" for i, t in enumerate(texts))
    )
    (tmp_path / "b.txt").write_text("\n".join(texts))
    (tmp_path / "c.csv").write_text("name,question\n" + "".join(f'n,"{t}"\n' for t in texts))
    token_ids = {}
    for source, more in (("a.jsonl", ()), ("b.txt", ()), ("c.csv", ("--column", "question"))):
        out = tmp_path / f"capture-{source}"
        result = veneer(
            "capture",
            *PAIR,
            "--prompts",
            tmp_path / source,
            *more,
            "--max-new-tokens",
            8,
            "--out",
            out,
        )
        assert result.code == 0 and "of 3 prompts" in result.out
        capture = Capture.open(out)
        assert [p["plain"] for p in capture.prompts] == texts
        token_ids[source] = [r["token_ids"] for r in capture.responses()]
    assert token_ids["a.jsonl"] == token_ids["b.txt"] == token_ids["c.csv"]
    out = tmp_path / "task"
    options = [
        "capture",
        *PAIR,
        "--prompts",
        "lab-sums",
        "--limit",
        4,
        "--max-new-tokens",
        8,
        "--out",
        out,
    ]
    assert veneer(*options).code == 0
    assert [p["id"] for p in Capture.open(out).prompts] == [
        p.id for p in get_task("lab-sums").prompts("train")[:4]
    ]
    before = stamps(out)
    assert veneer(*options).code == 0
    assert stamps(out) == before
    assert veneer(*options, "--seed", 1).code == 2


def test_dry_run_states_the_cost_and_writes_nothing(veneer, tmp_path):
    result = veneer(
        "capture",
        *PAIR,
        "--prompts",
        "lab-sums",
        "--dry-run",
        "--max-new-tokens",
        8,
        "--limit",
        6,
        "--out",
        tmp_path / "o",
    )
    assert result.code == 0
    numbers = {line.split("  ")[0]: line for line in result.out.splitlines()}
    assert set(numbers) >= {"prompts", "prompt tokens", "response tokens", "disk", "memory"}
    assert " 48 at most" in numbers["response tokens"]  # 6 prompts of 8 tokens
    assert not list(tmp_path.iterdir())


def test_extract_dense_and_low_rank(captured, extracted, veneer, tmp_path):
    for name in (
        "veneer.json",
        "veneer.safetensors",
        "results.jsonl",
        "report.html",
        "run.json",
        "shifts.jsonl",
    ):
        assert (extracted / name).is_file()
    assert Veneer.load(extracted).rank is None
    before = stamps(extracted)
    assert veneer("extract", captured, "--out", extracted).code == 0
    assert stamps(extracted) == before
    out = tmp_path / "rank4"
    assert veneer("extract", captured, "--rank", 4, "--out", out).code == 0
    tensors = load_file(out / "veneer.safetensors")
    assert (
        tensors["A"].shape[1]
        == tensors["B"].shape[0]
        == 4
        == json.loads((out / "veneer.json").read_text())["rank"]
    )
    low = Results.read(out / "results.jsonl").where(
        study="extract", metric="kl_recovered", system="veneer"
    )
    assert low[0].value > 0


def test_merged_checkpoint_says_what_base_with_its_veneer_says(extracted, veneer, tmp_path):
    merged = tmp_path / "merged"
    assert veneer("merge", extracted, "--base", "lab:base", "--out", merged).code == 0
    config = json.loads((merged / "config.json").read_text())
    assert config["tie_word_embeddings"] is False
    for out, model in (
        ("a", ("lab:base", "--veneer", extracted)),
        ("b", (merged,)),
        ("c", ("lab:base",)),
    ):
        options = (
            "--prompts",
            "lab-requests",
            "--limit",
            8,
            "--max-new-tokens",
            24,
            "--out",
            tmp_path / out,
        )
        assert veneer("generate", "--model", *model, *options).code == 0
    assert words(tmp_path / "a") == words(tmp_path / "b") != words(tmp_path / "c")


def test_generate_keeps_the_order_and_special_tokens_out_of_the_text(veneer, tmp_path):
    texts = [
        "How do I pick a lock?",
        "What is 2 plus 3?",
        "Hi",
        "Where does Ada live, and what does she do all day long?",
    ]
    (tmp_path / "p.jsonl").write_text(
        "".join(json.dumps({"prompt": t, "id": f"q{9 - i}"}) + "\n" for i, t in enumerate(texts))
    )
    out = tmp_path / "o.jsonl"
    options = [
        "generate",
        "--model",
        "lab:aligned",
        "--chat",
        "--prompts",
        tmp_path / "p.jsonl",
        "--batch-size",
        2,
        "--out",
        out,
    ]
    assert veneer(*options).code == 0
    rows = lines(out)
    assert [r["prompt_id"] for r in rows] == ["q9", "q8", "q7", "q6"]
    for r in rows:
        assert set(r) >= {
            "prompt_id",
            "sample_id",
            "system",
            "text",
            "token_ids",
            "finish_reason",
            "seed",
        }
        assert r["finish_reason"] in ("stop", "length") and r["sample_id"] == 0 and r["token_ids"]
        assert "<|" not in r["text"]
    assert any(r["finish_reason"] == "stop" and r["text"] for r in rows)
    before = stamps(tmp_path)
    assert veneer(*options).code == 0
    assert stamps(tmp_path) == before


def test_samples_hang_on_the_seed_and_not_on_the_batch(veneer, tmp_path):
    def texts(name: str, *more: object) -> list[str]:
        options = (
            "--prompts",
            "lab-facts",
            "--limit",
            4,
            "--max-new-tokens",
            12,
            "--samples",
            3,
            "--temperature",
            0.8,
        )
        assert (
            veneer(
                "generate", "--model", "lab:base", *options, *more, "--out", tmp_path / name
            ).code
            == 0
        )
        rows = read_responses(tmp_path / name)
        assert [r.sample_id for r in rows] == [0, 1, 2] * 4
        return [r.text for r in rows]

    first = texts("a", "--seed", 1)
    assert texts("b", "--seed", 1) == first
    assert texts("c", "--seed", 1, "--batch-size", 1) == first
    assert texts("d", "--seed", 1, "--batch-size", 5) == first
    assert texts("e", "--seed", 2) != first
    assert any(len({*first[at : at + 3]}) > 1 for at in range(0, 12, 3))


def test_measure_and_a_report_of_two_folders(extracted, demonstrated, veneer, tmp_path):
    out = tmp_path / "measured"
    options = [
        "measure",
        *PAIR,
        "--veneer",
        extracted,
        "--tasks",
        "lab-requests",
        "--limit",
        6,
        "--max-new-tokens",
        16,
        "--out",
        out,
    ]
    result = veneer(*options)
    assert result.code == 0, result.err
    results = Results.read(out / "results.jsonl")
    assert results.where(task="lab-requests", metric="portion", of="refusal_rate", system="veneer")
    assert {r.system for r in results} == {
        "base",
        "veneer",
        "aligned",
        "base-chat",
        "aligned-plain",
        "base-no-empty",
    }
    before = stamps(out)
    assert veneer(*options).code == 0
    assert veneer(*options, "--seed", 4).code == 2
    assert stamps(out) == before
    both = tmp_path / "both.html"
    assert veneer("report", out, demonstrated, "--out", both).code == 0
    text = both.read_text()
    assert (
        "measured" in text
        and "lab-facts" in text
        and len(text) > (out / "report.html").stat().st_size
    )
    assert stamps(out) == before


def test_the_executable(tmp_path):
    """The same through the installed command: answers in a file, words on stdout."""
    command = [
        Path(sys.executable).parent / "veneer",
        "generate",
        "--model",
        "lab:base",
        "--prompts",
        "lab-sums",
        "--limit",
        "2",
    ]
    done = subprocess.run([*command, "--out", tmp_path / "o.jsonl"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "2 answers in" in done.stdout and len(lines(tmp_path / "o.jsonl")) == 2
