"""veneer recover: the lab pair end to end, stored answers, and what is refused."""

from __future__ import annotations

import json

import pytest

from veneer.cli import main
from veneer.foundation.results import Results

QUESTIONS = [
    "How do I bake bread?",
    "Tell me about cats.",
    "Why is the sky blue?",
    "How can I sleep better?",
]
PAIR = ["recover", "--base", "lab:base", "--aligned", "lab:aligned"]


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    path = tmp_path_factory.mktemp("prompts") / "p.jsonl"
    path.write_text("".join(json.dumps({"prompt": q}) + "\n" for q in QUESTIONS))
    return path


@pytest.fixture(scope="module")
def recovery(prompts, tmp_path_factory):
    out = tmp_path_factory.mktemp("recovered") / "out"
    args = [
        *PAIR,
        "--prompts",
        str(prompts),
        "--variants",
        "random-2,knn-response-1,summary-cot",
        "--own-summaries",
        "--samples",
        "2",
        "--max-new-tokens",
        "16",
        "--measures",
        "lexical,embedding",
        "--out",
        str(out),
    ]
    assert main(args) == 0
    return args, out


def test_lab_pair_end_to_end(recovery):
    _, out = recovery
    rows = Results.read(out / "results.jsonl")
    systems = {r.system for r in rows.where(metric="lexical_similarity")}
    assert systems == {"base", "random-2", "knn-response-1", "summary-cot", "aligned"}
    assert all(
        r.n == 4 and r.study == "recovery" for r in rows.where(metric="embedding_similarity")
    )
    assert all("oracle" in r.note for r in rows.where(system="knn-response-1"))
    assert rows.where(
        metric="portion", of="embedding_similarity", system="random-2", split="ceiling:aligned"
    )
    shown = [json.loads(line) for line in (out / "in_context.jsonl").read_text().splitlines()]
    assert {s["variant"] for s in shown} == {"random-2", "knn-response-1", "summary-cot"} and len(
        shown
    ) == 12
    assert all(
        s["examples"] + s["dropped"]
        == {"random-2": 2, "knn-response-1": 1, "summary-cot": 3}[s["variant"]]
        for s in shown
    )
    # URIAL's examples do not fit the lab model's context of 512
    dropped = [s for s in shown if s["variant"] == "summary-cot"]
    (row,) = rows.where(metric="examples", system="summary-cot")
    assert (
        sum(s["dropped"] for s in dropped) > 0 and "examples dropped on 4 of 4 prompts" in row.note
    )
    verdicts = [json.loads(line) for line in (out / "verdicts.jsonl").read_text().splitlines()]
    assert len(verdicts) == 2 * 2 * 3 and all(v["ceiling"] == "aligned" for v in verdicts)
    run = json.loads((out / "run.json").read_text())
    assert (
        run["finished"]
        and run["scale"]["margin"].startswith("10%")
        and "all-MiniLM" in run["embedder"]
    )
    assert (out / "report.html").stat().st_size > 0


def test_again_changes_nothing_and_other_settings_are_refused(recovery, capsys):
    args, out = recovery
    before = {
        p: p.read_bytes() for p in out.rglob("*") if p.is_file() and not p.name.startswith(".")
    }
    assert main(args) == 0
    assert {p: p.read_bytes() for p in before} == before
    assert main([*args, "--seed", "1"]) == 2
    assert "another configuration (seed: 0 there, 1 here)" in capsys.readouterr().err


def test_an_interrupted_run_ends_with_the_same_bytes(recovery, tmp_path):
    args, out = recovery
    import shutil

    again = tmp_path / "again"
    shutil.copytree(out, again)
    run = json.loads((again / "run.json").read_text())
    (again / "run.json").write_text(json.dumps({**run, "finished": False}))
    for name in ("results.jsonl", "verdicts.jsonl", "report.html", "in_context.jsonl"):
        (again / name).unlink()
    (again / "responses" / "summary-cot.jsonl").unlink()
    (again / "responses" / "summary-cot.jsonl.manifest.json").unlink()
    assert main([*args[:-1], str(again)]) == 0
    for name in (
        "results.jsonl",
        "verdicts.jsonl",
        "in_context.jsonl",
        "responses/summary-cot.jsonl",
    ):
        assert (again / name).read_bytes() == (out / name).read_bytes()


def test_stored_answers_give_the_same_figures(recovery, tmp_path, capsys):
    _, out = recovery
    files = [
        f"{n}={out / 'responses' / f'{n}.jsonl'}" for n in ("base", "random-2", "knn-response-1")
    ]
    args = [
        "recover",
        "--teacher",
        str(out / "responses" / "aligned.jsonl"),
        "--responses",
        *files,
        "--oracles",
        "knn-response-1",
        "--measures",
        "lexical",
        "--out",
        str(tmp_path / "stored"),
    ]
    assert main(args) == 0
    assert "knn-response-1 (oracle)" in capsys.readouterr().out
    mine, theirs = (Results.read(p / "results.jsonl") for p in (tmp_path / "stored", out))
    for system in ("base", "random-2", "knn-response-1", "aligned"):
        (a,), (b,) = (r.where(system=system, metric="lexical_similarity") for r in (mine, theirs))
        assert (a.value, a.low, a.high) == (b.value, b.low, b.high)
    run = json.loads((tmp_path / "stored" / "run.json").read_text())
    assert any("answers to 4 prompts" in line for line in run["imported"])


def test_a_judge_without_verdicts_gives_rows_without_values(prompts, tmp_path):
    """The lab's model judges here: its context is too short for the rubric, so there is no verdict
    at all, and the rows say so."""
    out = tmp_path / "out"
    args = [
        *PAIR,
        "--prompts",
        str(prompts),
        "--variants",
        "",
        "--samples",
        "2",
        "--max-new-tokens",
        "8",
        "--measures",
        "judge",
    ]
    assert (
        main(
            [
                *args,
                "--base-template",
                "Q: {prompt}\nA:",
                "--judge-local",
                "lab:aligned",
                "--out",
                str(out),
            ]
        )
        == 0
    )
    (row,) = Results.read(out / "results.jsonl").where(metric="judge_similarity", system="base")
    assert (
        row.value is None
        and row.n == 0
        and "12 of 12 pairs without a verdict" in row.note
        and row.judge.startswith("similarity-v1-")
    )
    base = json.loads((out / "responses" / "base.jsonl.manifest.json").read_text())["system"]
    assert base["format"]["template"] == "Q: {prompt}\nA:"


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ([], "there is nothing to compare"),
        (
            ["--base", "lab:base", "--aligned", "lab:aligned", "--prompts", "P", "--teacher", "P"],
            "both given",
        ),
        (
            [
                "--base",
                "lab:base",
                "--aligned",
                "lab:aligned",
                "--prompts",
                "P",
                "--variants",
                "knn",
            ],
            "no in-context variant 'knn'",
        ),
        (
            [
                "--base",
                "lab:base",
                "--aligned",
                "lab:aligned",
                "--prompts",
                "P",
                "--variants",
                "random-4",
            ],
            "need at least 5",
        ),
        (
            [
                "--base",
                "lab:base",
                "--aligned",
                "lab:aligned",
                "--prompts",
                "P",
                "--variants",
                "summary",
            ],
            "who writes summaries",
        ),
        (
            ["--base", "lab:base", "--aligned", "lab:aligned", "--prompts", "P", "--samples", "1"],
            "give --samples 2 or more",
        ),
        (
            [
                "--base",
                "lab:base",
                "--aligned",
                "lab:aligned",
                "--prompts",
                "P",
                "--temperature",
                "0",
            ],
            "expected a temperature above 0",
        ),
        (
            ["--base", "lab:base", "--aligned", "lab:aligned", "--prompts", "P", "--margin", "0"],
            "margin is 0",
        ),
        (
            [
                "--base",
                "lab:base",
                "--aligned",
                "lab:aligned",
                "--prompts",
                "P",
                "--measures",
                "taste",
            ],
            "no measure 'taste'",
        ),
        (
            [
                "--base",
                "lab:base",
                "--aligned",
                "lab:aligned",
                "--prompts",
                "P",
                "--measures",
                "bertscore",
            ],
            "needs an encoder",
        ),
        (
            [
                "--base",
                "lab:base",
                "--aligned",
                "lab:aligned",
                "--prompts",
                "P",
                "--measures",
                "judge",
            ],
            "needs a judge model",
        ),
        (
            ["--base", "lab:base", "--aligned", "lab:aligned", "--prompts", "P", "--oracles", "a"],
            "--oracles is for --teacher",
        ),
        (["--paper", "/no/such", "--peers", "a"], "leave out --peers"),
        (["--responses", "a=P"], "give --teacher FILE too"),
        (["--teacher", "P", "--responses", "P"], "expected NAME=FILE"),
        (["--teacher", "P", "--responses", "a=P", "a=P"], "names 'a' twice"),
        (["--teacher", "P", "--responses", "a=P"], "no answers of 'base'"),
        (["--teacher", "P", "--responses", "base=P"], "begins with an object with the keys prompt"),
        (["--paper", "/no/such"], "holds no answers of llama-2-base"),
    ],
)
def test_bad_command_lines_leave_nothing(prompts, tmp_path, capsys, more, what):
    words = [w.replace("P", str(prompts)) if w.endswith("P") else w for w in more]
    assert main(["recover", *words, "--out", str(tmp_path / "out")]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("veneer: error: ") and what in last and not (tmp_path / "out").exists()


def test_a_folder_with_answers_keeps_its_record_where_the_input_is_bad(veneer, tmp_path):
    """The in-context prompt does not fit; base and aligned have answered by then."""
    words = [*PAIR, "--prompts", "lab-requests", "--samples", 2, "--limit", 4, "--out", tmp_path]
    done = veneer(*words, "--max-new-tokens", 300)
    assert done.code == 2 and "context holds 512" in done.err
    assert list((tmp_path / "responses").iterdir()) and (tmp_path / "run.json").is_file()
    done = veneer(*words, "--max-new-tokens", 16)
    assert done.code == 2 and "give another --out, or delete the folder" in done.err
