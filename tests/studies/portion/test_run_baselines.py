"""Baselines and the cross table, in one command."""

from __future__ import annotations

import json

import pytest

from veneer.cli import main
from veneer.foundation.results import Results
from veneer.foundation.system_id import SystemId

PAIR = ("--base", "lab:base", "--aligned", "lab:aligned")
TASKS = ("--tasks", "lab-requests,lab-sums", "--limit", 12, "--max-new-tokens", 16, "--no-controls")
BASELINES = "urial,system-prompt,lora-9,bias,rank-2,cross"
NAMES = {
    "system-prompt",
    "veneer-bias",
    "veneer-rank-2",
    "veneer-from-lab-requests",
    "veneer-from-lab-sums",
    "lora-9",
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    out = tmp_path_factory.mktemp("baselines") / "run"
    assert (
        main([str(a) for a in ("run", *PAIR, *TASKS, "--baselines", BASELINES, "--out", out)]) == 0
    )
    return out


def test_every_baseline_is_measured_on_every_task(measured):
    results = Results.read(measured / "results.jsonl")
    for task in ("lab-requests", "lab-sums"):
        systems = {r.system for r in results.where(study="measure", task=task, metric="empty_rate")}
        assert systems == {"base", "veneer", "aligned", *NAMES}
        assert {r.system for r in results.where(task=task, metric="portion")} == {"veneer", *NAMES}
        differences = results.where(task=task, metric="difference_from_aligned")
        assert {r.system for r in differences} == {"veneer", *NAMES} and all(
            "Holm" in r.note for r in differences
        )
    identities = {r.system: r.system_id for r in results if r.system in NAMES}
    assert identities["veneer-rank-2"] == SystemId.of("veneer-rank", rank=2)
    assert identities["veneer-from-lab-sums"] == SystemId.of("veneer-from", task="lab-sums")
    assert identities["lora-9"] == SystemId.of("lora", answers=9)
    record = json.loads((measured / "run.json").read_text())
    (left_out,) = record["baselines_left_out"]
    # the lab's models read no more
    assert left_out.startswith("urial is left out") and "512" in left_out


def test_the_browser_knows_each_answers_score(measured):
    rows = [
        json.loads(line)
        for line in (measured / "tokens.jsonl").read_bytes().decode().split("\n")
        if line
    ]
    assert {r["system"] for r in rows} == {"base", "veneer", "aligned"}
    refusals = [
        r["scores"]["refusal_rate"]
        for r in rows
        if r["task"] == "lab-requests" and r["system"] == "aligned"
    ]
    assert len(refusals) == 12 and sum(refusals) >= 10
    assert all(
        set(r["scores"]) == {"accuracy", "accuracy_strict"} for r in rows if r["task"] == "lab-sums"
    )


def test_a_veneer_extracted_on_one_task_carries_that_task(measured):
    """The cross table's diagonal: the veneer of refusals refuses, that of sums does not."""
    results = Results.read(measured / "results.jsonl")

    def refused(system: str) -> float:
        (row,) = results.where(
            study="measure", task="lab-requests", metric="refusal_rate", system=system, split="test"
        )
        return row.value

    assert refused("veneer-from-lab-requests") > 0.8 and refused("veneer-from-lab-sums") < 0.5


@pytest.mark.parametrize(
    ("baselines", "sentence"),
    [
        ("rank-0", "no baseline"),
        ("from-svamp", "no baseline"),
        ("lora-1000", "more answers than"),
        ("magic", "no baseline"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    veneer, tmp_path, baselines, sentence
):
    result = veneer("run", *PAIR, *TASKS, "--baselines", baselines, "--out", tmp_path / "run")
    assert result.code == 2 and sentence in result.err.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_measure_has_no_capture_to_make_baselines_from(veneer, measured, tmp_path):
    result = veneer(
        "measure",
        *PAIR,
        "--veneer",
        measured / "veneer",
        *TASKS,
        "--baselines",
        "rank-4",
        "--out",
        tmp_path / "m",
    )
    assert result.code == 2 and "veneer run" in result.err.splitlines()[-1]


def test_again_it_changes_nothing_and_shows_the_table_of_systems(veneer, measured):
    before = (measured / "results.jsonl").stat().st_mtime_ns
    result = veneer("run", *PAIR, *TASKS, "--baselines", BASELINES, "--out", measured)
    assert result.code == 0 and "veneer-rank-2" in result.out
    assert (measured / "results.jsonl").stat().st_mtime_ns == before
