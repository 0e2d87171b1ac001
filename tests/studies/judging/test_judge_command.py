"""veneer judge: stored answers judged, counted and compared; a kill loses nothing that was said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from faulty_server import Call, serving
from veneer.foundation.files import json_lines
from veneer.foundation.results import Results
from veneer.systems.responses import Response, write_responses

pytest.importorskip("openai", reason="needs the package openai: pip install 'veneer[openai]'")
QUESTIONS = [f"How do I do thing {i}?" for i in range(12)]
SECRET = "sk-very-secret-8c1f"


@pytest.fixture
def stored(tmp_path) -> tuple[Path, Path, Path]:
    """(prompts, base's answers, aligned's): base always tries, aligned refuses even ones, and
    base's last answer is empty."""
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text(json_lines({"id": f"p{i}", "prompt": q} for i, q in enumerate(QUESTIONS)))

    def save(system: str, texts: list[str]) -> Path:
        rows = [
            Response(f"p{i}", 0, system, "prompts", t, (), "stop", 0) for i, t in enumerate(texts)
        ]
        write_responses(tmp_path / f"{system}.jsonl", rows)
        return tmp_path / f"{system}.jsonl"

    base = [f"First take {i} spoons, then stir." for i in range(11)] + [""]
    aligned = [
        "I'm sorry, but I can't help with that." if i % 2 == 0 else f"Take {i} spoons."
        for i in range(12)
    ]
    return prompts, save("base", base), save("aligned", aligned)


def judge(call: Call) -> None:
    """5 for help, 1 for a refusal; spoon 3 is beyond it."""
    if "3 spoons" in call.prompt:
        return call.say("Spoons are fine.")
    call.say(json.dumps({"reason": "r", "score": 1 if "sorry" in call.prompt else 5}))


def command(stored, url: str, out: Path, *more: object) -> tuple[object, ...]:
    prompts, base, aligned = stored
    where = ("--judge-url", url, "--judge-model", "stand-in", "--judge-key-env", "VENEER_TEST_KEY")
    return (
        "judge",
        base,
        aligned,
        "--prompts",
        prompts,
        "--judge",
        "harm",
        *where,
        "--out",
        out,
        *more,
    )


def test_answers_are_judged_counted_and_reported(veneer, stored, tmp_path, monkeypatch):
    monkeypatch.setenv("VENEER_TEST_KEY", SECRET)
    out = tmp_path / "judged"
    prices = ("--judge-price-in", 1, "--judge-price-out", 5)
    with serving(judge) as server:
        result = veneer(*command(stored, server.url, out, *prices))
        assert result.code == 0, result.err
        assert len(server.calls) == 23 and server.headers[0]["authorization"] == f"Bearer {SECRET}"
        again = veneer(*command(stored, server.url, out, *prices))
        assert again.code == 0 and len(server.calls) == 23, "a finished folder asks nothing"
    results = Results.read(out / "results.jsonl")
    rows = {(r.system, r.metric): r for r in results}
    base, aligned = rows["base", "harm_rate"], rows["aligned", "harm_rate"]
    assert (base.value, base.n) == (pytest.approx(10 / 11), 11) and (aligned.value, aligned.n) == (
        pytest.approx(5 / 11),
        11,
    )
    assert (
        rows["base", "harm_score"].value == pytest.approx((10 * 5 + 1) / 11)
        and rows["base", "harm_score"].unit == "1..5"
    )
    assert all(
        r.low <= r.value <= r.high and r.study == "judge" and r.judge.startswith("harm-v1-")
        for r in results
    )
    assert (
        rows["base", "harm_unscored_rate"].value == pytest.approx(1 / 12)
        and rows["base", "harm_unscored_rate"].note == "1 unparsable"
    )
    assert "not checked against people" in base.note
    record = json.loads((out / "run.json").read_text())
    (used,) = record["usage"].values()
    assert (
        used["requests"],
        used["prompt_tokens"],
        used["completion_tokens"],
        used["retries"],
    ) == (23, 230, 92, 0)
    assert used["cost"] == pytest.approx((230 * 1 + 92 * 5) / 1e6) and record["finished"]
    assert list(record["outcomes"].values()) == [{"judged": 21, "rule": 1, "unparsable": 2}]
    assert (
        "24 answers, 1 by rule; without a verdict: 2 unparsable" in result.out
        and "23 requests, 0 from the cache" in result.out
    )
    lines = [json.loads(line) for line in (out / "verdicts.jsonl").read_text().splitlines()]
    assert len(lines) == 24 and sum(row["outcome"] == "unparsable" for row in lines) == 2
    assert (out / "report.html").stat().st_size > 10_000
    assert not [
        p for p in tmp_path.rglob("*") if p.is_file() and SECRET.encode() in p.read_bytes()
    ], "the key is in no file"
    assert SECRET not in result.out + result.err


def test_a_kill_in_the_middle_repeats_no_request(veneer, stored, tmp_path):
    out, killed = tmp_path / "judged", threading.Event()

    def held(call: Call) -> None:
        if len(server.calls) > 10:
            killed.wait(60)
        judge(call)

    with serving(held) as server:
        words = [
            str(x)
            for x in (
                Path(sys.executable).parent / "veneer",
                *command(stored, server.url, out, "--judge-concurrency", 2),
            )
        ]
        process = subprocess.Popen(
            words,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        cache = out / "judge" / "replies.jsonl"
        while process.poll() is None and not (
            cache.exists() and cache.read_bytes().count(b"\n") >= 8
        ):
            time.sleep(0.005)
        process.kill()
        process.communicate()
        assert process.returncode == -9, "it was still at work"
        killed.set()
        kept = cache.read_bytes().count(b"\n") - 1
        first = len(server.calls)
        assert 7 <= kept <= first <= kept + 2 < 23
        done = veneer(*words[1:])
        assert done.code == 0, done.err
    assert len(server.calls) == first + 23 - kept, (
        "what was kept is not asked again, what was lost is"
    )
    assert sum(server.seen.values()) - len(server.seen) == first - kept <= 2, (
        "at most what was under way came twice"
    )
    assert len((out / "verdicts.jsonl").read_text().splitlines()) == 24
    assert json.loads((out / "run.json").read_text())["finished"]


def test_a_dead_endpoint_stops_in_one_sentence_and_the_same_command_resumes(
    veneer, stored, tmp_path
):
    out, alive = tmp_path / "judged", [5]

    def answer(call: Call) -> None:
        alive[0] -= 1
        judge(call) if alive[0] >= 0 else call.error(500, "gone", Retry_After="0.01")

    with serving(answer) as server:
        words = command(stored, server.url, out, "--judge-retries", 1, "--judge-concurrency", 1)
        result = veneer(*words)
        assert result.code == 1 and result.err.strip().splitlines()[-1].startswith(
            "veneer: error: the endpoint"
        )
        assert not (out / "results.jsonl").exists() and not (out / "verdicts.jsonl").exists()
        alive[0] = 10_000
        before = len(server.calls)
        assert veneer(*words).code == 0
        assert len(server.calls) - before == 23 - 5
        other = veneer(*words, "--limit", 3)
        assert other.code == 2 and "another configuration" in other.err


def test_a_request_without_a_reply_leaves_the_run_open(veneer, stored, tmp_path):
    out, broken = tmp_path / "judged", [True]

    def answer(call: Call) -> None:
        judge(call) if not (broken[0] and "5 spoons" in call.prompt) else call.error(
            500, "poison", Retry_After="0.01"
        )

    with serving(answer) as server:
        words = command(stored, server.url, out, "--judge-retries", 1, "--judge-concurrency", 1)
        result = veneer(*words)
        assert result.code == 0 and "2 got no reply; run the same command again" in result.out
        assert not json.loads((out / "run.json").read_text())["finished"]
        before, broken[0] = len(server.calls), False
        assert veneer(*words).code == 0 and len(server.calls) == before + 2
        assert json.loads((out / "run.json").read_text())["finished"]


def test_a_wrong_key_leaves_nothing(veneer, stored, tmp_path):
    with serving(lambda c: c.error(401, "no such key")) as server:
        result = veneer(*command(stored, server.url, tmp_path / "judged"))
    assert (
        result.code == 2
        and "HTTP 401: no such key" in result.err
        and not (tmp_path / "judged").exists()
    )


def test_two_judges_are_compared_on_the_same_answers(veneer, stored, tmp_path):
    """Refusal against harm, which exclude each other; kappa by hand from the table."""
    out = tmp_path / "judged"
    with serving(judge) as server:
        result = veneer(
            *command(stored, server.url, out, "--compare", "refusal:refusal_rate", "harm:harm_rate")
        )
        assert result.code == 0, result.err
        second = tmp_path / "second"
        assert veneer(*command(stored, server.url, second)).code == 0
    rows = {
        r.metric: r
        for r in Results.read(out / "results.jsonl")
        if r.of == "refusal_rate ~ harm_rate"
    }
    # 22 answers have both verdicts: 6 refusals without harm, an empty answer that is neither, 15
    # with harm and no refusal
    observed, chance = 1 / 22, (16 / 22) * (7 / 22) + (6 / 22) * (15 / 22)
    assert (
        rows["kappa"].value == pytest.approx((observed - chance) / (1 - chance))
        and rows["kappa"].n == 11
    )  # of p3 neither answer has a verdict
    assert (
        rows["raw_agreement"].value == pytest.approx(1 / 22)
        and rows["kappa"].low < rows["kappa"].value < rows["kappa"].high
    )
    assert "0: 1 15 | 1: 6 0; 2 without a verdict" in rows["kappa"].note
    files = veneer("judge", "--compare", out / "verdicts.jsonl:harm_rate", second)
    assert files.code == 0, files.err
    assert (
        "kappa: 1.000 [" in files.out
        and "raw agreement: 1.000" in files.out
        and "2 answers without a verdict" in files.out
    )
    several = veneer("judge", "--compare", out, second)
    assert several.code == 2 and "holds verdicts of" in several.err
    none = veneer("judge", "--compare", f"{out}/verdicts.jsonl:refusal_rate", second)
    assert none.code == 2 and "name what to compare" in none.err


def test_judges_without_a_model_work_too(veneer, stored, tmp_path):
    prompts, base, aligned = stored
    result = veneer(
        "judge",
        base,
        aligned,
        "--prompts",
        prompts,
        "--judge",
        "refusal",
        "--out",
        tmp_path / "judged",
    )
    assert result.code == 0, result.err
    rates = {
        r.system: r.value
        for r in Results.read(tmp_path / "judged" / "results.jsonl")
        if r.metric == "refusal_rate"
    }
    assert rates == {"base": 0.0, "aligned": 0.5}


def test_answers_say_themselves_what_was_answered(veneer, tmp_path):
    """Those of a task name it; `veneer import` writes the prompts of a file beside the answers."""
    made = tmp_path / "made.jsonl"
    words = ("--model", "lab:base", "--plain", "--limit", 3, "--max-new-tokens", 4, "--out", made)
    assert veneer("generate", "--prompts", "lab-requests", *words).code == 0
    assert veneer("judge", made, "--judge", "refusal", "--out", tmp_path / "task").code == 0
    assert {r.task for r in Results.read(tmp_path / "task" / "results.jsonl")} == {"lab-requests"}

    outputs, answers = tmp_path / "outputs.json", tmp_path / "answers.jsonl"
    rows = [{"instruction": "How?", "output": "I'm sorry, but I can't help.", "generator": "g"}]
    outputs.write_text(json.dumps(rows))
    assert veneer("import", outputs, "--out", answers).code == 0
    result = veneer("judge", answers, "--judge", "refusal", "--out", tmp_path / "file")
    assert result.code == 0, result.err
    (rate,) = Results.read(tmp_path / "file" / "results.jsonl").where(metric="refusal_rate")
    assert rate.value == 1
    write_responses(
        answers, [Response("p", 0, "s", t, "a", (), "stop", 0) for t in ("svamp", "advbench")]
    )
    (tmp_path / "answers.jsonl.prompts.jsonl").unlink()
    result = veneer("judge", answers, "--judge", "refusal", "--out", tmp_path / "two")
    assert result.code == 2 and "to several tasks (advbench, svamp)" in result.err


def test_bad_input_is_one_sentence(veneer, stored, tmp_path):
    prompts, base, _ = stored
    out = ("--out", tmp_path / "judged")
    cases = [
        (("judge",), "found no file of answers"),
        (("judge", base), "found no judge"),
        (("judge", base, "--judge", "refusal"), "found no --out"),
        (("judge", base, "--judge", "refusal", *out), "neither --task nor --prompts"),
        (
            ("judge", base, "--judge", "refusal", "--task", "lab-sums", "--prompts", prompts, *out),
            "both --task and --prompts",
        ),
        (
            ("judge", base, "--judge", "refusal", "--task", "lab-sums", *out),
            "12 answers have no prompt, first 'p0'",
        ),
        (
            ("judge", base, base, "--judge", "refusal", "--prompts", prompts, *out),
            "give each answer once",
        ),
        (
            ("judge", base, "--judge", "harm", "--prompts", prompts, *out),
            "--judge-url URL and --judge-model NAME, or --judge-local",
        ),
        (
            ("judge", base, "--judge", "nobody", "--prompts", prompts, *out),
            "there is no judge 'nobody'",
        ),
        (
            ("judge", base, "--judge", "refusal,refusal", "--prompts", prompts, *out),
            "names a judge twice",
        ),
        (
            ("judge", tmp_path / "no.jsonl", "--judge", "refusal", "--prompts", prompts, *out),
            "does not exist",
        ),
        (("judge", "--compare", "a", "b"), "a does not exist; expected verdicts"),
        (("judge", "--compare", prompts, base), "is not a verdict"),
    ]
    for words, expected in cases:
        result = veneer(*words)
        assert (
            result.code == 2
            and expected in result.err
            and result.err.strip().splitlines()[-1].startswith("veneer: error: ")
        ), (words, result.err)
        assert not (tmp_path / "judged").exists(), words


def test_notes_are_made_from_facts(tmp_path):
    from veneer.statistics.agreement import agreement
    from veneer.studies.judging.compare import JudgeComparison, agreement_rows

    table = agreement([0, 0, 1, 1], [0, 1, 1, 1], ["a", "b", "c", "d"])
    comparison = JudgeComparison(("harm", "harm"), ("x", "y"), "t", "all", table, 2, 0)
    rows = agreement_rows([comparison])
    assert {r.metric for r in rows} >= {"kappa", "raw_agreement"}
    for row in rows:
        assert row.fact("table") == [[1, 1], [0, 2]] and row.fact("categories") == [0, 1]
        assert (row.fact("without"), row.fact("alone")) == (2, 0)
        assert row.note.endswith("x in rows: 0: 1 1 | 1: 0 2; 2 without a verdict")
