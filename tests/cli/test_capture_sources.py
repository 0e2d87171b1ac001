"""veneer capture from stored answers and from an endpoint, on to a veneer that generates."""

from __future__ import annotations

import json

import pytest

from veneer.capture import Capture
from veneer.foundation.results import Results
from veneer.systems import read_responses

PROMPTS = ("--prompts", "lab-requests", "--limit", "24", "--max-new-tokens", "40")


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    from veneer.cli import main

    out = tmp_path_factory.mktemp("answers") / "answers.jsonl"
    status = main(
        [
            "generate",
            "--model",
            "lab:aligned",
            "--chat",
            *PROMPTS,
            "--split",
            "train",
            "--out",
            str(out),
        ]
    )
    assert status == 0
    return out


def test_from_answers_to_a_veneer_that_refuses(veneer, answers, tmp_path):
    out, own = tmp_path / "capture", tmp_path / "veneer"
    result = veneer("capture", "--base", "lab:base", "--responses", answers, *PROMPTS, "--out", out)
    assert result.code == 0 and "no KL" in result.out
    record = json.loads((out / "run.json").read_text())
    assert (
        record["finished"]
        and record["pair"]["teacher"]["targets"] == "one-hot"
        and record["config"]["responses"] == str(answers)
    )
    stamps = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and p.name != ".lock"}
    assert (
        veneer("capture", "--base", "lab:base", "--responses", answers, *PROMPTS, "--out", out).code
        == 0
    )
    assert stamps == {
        p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and p.name != ".lock"
    }
    result = veneer("extract", out, "--out", own)
    assert (
        result.code == 0 and "NLL of the responses" in result.out and "KL in nats" not in result.out
    )
    metrics = {r.metric for r in Results.read(own / "results.jsonl") if r.study == "extract"}
    assert metrics == {"nll", "nll_gain", "token_accuracy"}
    page = (own / "report.html").read_text()
    assert "Likelihood of the held-out responses" in page and "Held-out KL" not in page
    manifest = json.loads((own / "veneer.json").read_text())
    assert manifest["teacher"]["kind"] == "responses" and manifest["stop_ids"]
    result = veneer(
        "generate",
        "--model",
        "lab:base",
        "--veneer",
        own,
        "--prompts",
        "lab-requests",
        "--limit",
        "8",
        "--out",
        tmp_path / "v",
    )
    assert result.code == 0
    texts = [r.text for r in read_responses(tmp_path / "v")]
    assert sum("sorry" in t for t in texts) >= 7
    merged = veneer("merge", own, "--base", "lab:base", "--out", tmp_path / "merged")
    assert (
        merged.code == 0
        and "| held-out responses | nll (nats/token) |"
        in (tmp_path / "merged" / "README.md").read_text()
    )


def test_answers_to_other_prompts_and_a_foreign_file(veneer, answers, tmp_path):
    out = tmp_path / "c"
    result = veneer(
        "capture",
        "--base",
        "lab:base",
        "--responses",
        answers,
        "--prompts",
        "lab-sums",
        "--limit",
        "3",
        "--out",
        out,
    )
    assert result.code == 2 and "answers none of the prompts" in result.err and not out.exists()
    mine = tmp_path / "mine.jsonl"
    mine.write_text('{"question": 1}\n')
    result = veneer("capture", "--base", "lab:base", "--responses", mine, *PROMPTS, "--out", out)
    assert result.code == 2 and "fits no format of answers" in result.err and not out.exists()
    result = veneer(
        "capture",
        "--base",
        "lab:base",
        "--responses",
        answers,
        "--prompts",
        "lab-requests",
        "--limit",
        "30",
        "--out",
        out,
    )
    assert result.code == 0 and "6 prompts without an answer" in result.err
    assert len(Capture.open(out).prompts) == 24
    result = veneer(
        "capture",
        "--base",
        "lab:base",
        "--aligned",
        "lab:aligned",
        "--prompts",
        "lab-requests",
        "--limit",
        "24",
        "--out",
        out,
    )
    assert result.code == 2 and "made with another" in result.err


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ((), "found no teacher; expected one of"),
        (
            ("--aligned", "lab:aligned", "--responses", "x.jsonl"),
            "found --aligned and --responses; expected one of",
        ),
        (
            ("--teacher-url", "http://localhost:1/v1"),
            "--teacher-url and --teacher-model go together",
        ),
        (("--teacher-url", "ftp://x", "--teacher-model", "m"), "is no endpoint's address"),
        (("--responses", "no-such.jsonl"), "does not exist"),
    ],
)
def test_what_is_not_a_teacher_is_refused(veneer, tmp_path, given, sentence):
    result = veneer("capture", "--base", "lab:base", *given, *PROMPTS, "--out", tmp_path / "c")
    assert result.code == 2 and sentence in result.err and not (tmp_path / "c").exists()


def test_a_dry_run_states_the_cost_without_a_folder(veneer, answers, tmp_path):
    for given in (("--responses", answers), ("--aligned", "lab:aligned")):
        result = veneer(
            "capture", "--base", "lab:base", *given, *PROMPTS, "--dry-run", "--out", tmp_path / "c"
        )
        assert (
            result.code == 0
            and "prompts          24" in result.out
            and not (tmp_path / "c").exists()
        )


def test_from_the_packages_own_endpoint(veneer, tmp_path):
    """`veneer serve` tells log-probabilities with its end token; the same capture
    again asks nobody."""
    pytest.importorskip("openai", reason="needs the package openai: pip install 'veneer[openai]'")
    pytest.importorskip("uvicorn", reason="needs uvicorn: pip install 'veneer[serve]'")

    from veneer.models.formats import ChatFormat
    from veneer.models.load import load_model
    from veneer.serve.served import Served
    from veneer.systems.system import System
    from veneer_server import serving

    aligned = load_model("lab:aligned")
    out = tmp_path / "capture"
    with serving([Served(System("aligned", aligned, ChatFormat(), aligned.stop_ids))]) as running:
        words = (
            "--base",
            "lab:base",
            "--teacher-url",
            running.url,
            "--teacher-model",
            "aligned",
            *PROMPTS,
            "--out",
            out,
        )
        result = veneer("capture", *words)
    assert result.code == 0 and "20 most likely tokens" in result.out
    assert veneer("capture", *words).code == 0  # the server is gone
    assert Capture.open(out).manifest["teacher"]["targets"] == "top-20"
    local = veneer(
        "capture",
        "--base",
        "lab:base",
        "--aligned",
        "lab:aligned",
        *PROMPTS,
        "--out",
        tmp_path / "local",
    )
    assert local.code == 0
    texts = [
        [r["text"] for r in Capture.open(folder).responses()]
        for folder in (out, tmp_path / "local")
    ]
    assert texts[0] == texts[1]
