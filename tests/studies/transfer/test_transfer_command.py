"""veneer transfer on the embedded models: end to end, again, otherwise, killed in the middle, and
with what cannot be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from killing import content, run_to_the_end
from veneer.cli.main import main
from veneer.foundation.results import Results
from veneer.foundation.system_id import SystemId

LARGE = ("--large", "lab:large-base", "--base", "lab:base")
ALL = (*LARGE, "--large-aligned", "lab:large-aligned", "--aligned", "lab:aligned")
SMALL = (
    "--tasks",
    "lab-requests,lab-sums",
    "--limit",
    "12",
    "--max-new-tokens",
    "16",
    "--batch-size",
    "6",
)
ORDER = ("transfer", *ALL, *SMALL, "--alphas", "1,1@4", "--own", "--bake", "--timing", "2")
SYSTEMS = [
    "base",
    "shifted-1",
    "shifted-1@4",
    "baked",
    "veneer",
    "aligned",
    "small-base",
    "small-veneer",
    "small-aligned",
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("transfer") / "out"
    assert main([*ORDER, "--out", str(out)]) == 0
    return out


def test_it_says_why_nothing_tells_harmful_from_harmless_prompts(whole):
    record = json.loads((whole / "run.json").read_text())
    assert record["discernment_left_out"] == "no_harmless_prompts"


def test_every_system_is_measured_on_every_task(whole):
    results = Results.read(whole / "results.jsonl")
    for task in ("lab-requests", "lab-sums"):
        assert [
            r.system
            for r in results.where(study="measure", task=task, metric="empty_rate", split="test")
        ] == SYSTEMS
        differences = results.where(study="measure", task=task, metric="difference_from_aligned")
        assert {r.system for r in differences} == set(SYSTEMS) - {"base", "aligned"}
        assert all("Holm over 15 differences" in r.note for r in differences)
    refused = {
        r.system: r.value
        for r in results.where(task="lab-requests", metric="refusal_rate", split="test")
    }
    assert (
        refused["base"] == 0
        and refused["shifted-1"] > 0.8
        and refused["baked"] > 0.8
        and refused["aligned"] > 0.8
    )
    portions = {
        r.system for r in results.where(task="lab-requests", metric="portion", split="test")
    }
    assert portions == set(SYSTEMS) - {"base", "aligned"}


def test_distances_have_floor_positions_and_the_baked_heads_teacher(whole):
    results = Results.read(whole / "results.jsonl")
    kl = {
        r.system: r
        for r in results.where(
            study="transfer", task="joint", metric="kl", split="report", position=None
        )
    }
    assert list(kl) == ["base", "shifted-1", "shifted-1@4", "baked", "veneer"]
    assert kl["shifted-1"].value < 0.7 * kl["base"].value and all(
        r.low <= r.value <= r.high for r in kl.values()
    )
    (floor,) = results.where(
        study="transfer", task="joint", metric="kl", system="aligned", split="noise"
    )
    assert abs(floor.value) < 1e-4
    first = {
        r.system: r.value
        for r in results.where(study="transfer", task="joint", metric="kl", position=(1, 1))
    }
    assert (
        first["shifted-1"] == pytest.approx(first["shifted-1@4"])
        and first["shifted-1"] < first["base"]
    )
    assert results.where(study="transfer", metric="top1_agreement", system="shifted-1")
    (kept,) = results.where(
        study="transfer", task="joint", metric="kl_from_shifted_recovered", system="baked"
    )
    assert kept.value > 0.5
    assert (
        len(results.where(study="transfer", metric="time_ratio")) == 7
        and len(results.where(metric="memory_ratio")) == 7
    )


def test_the_record_says_how_alpha_was_chosen_and_what_was_seen(whole):
    record = json.loads((whole / "run.json").read_text())
    results = Results.read(whole / "results.jsonl")
    select = {
        r.system: r.value
        for r in results.where(study="transfer", metric="kl", split="select")
        if r.system != "base"
    }
    assert (
        record["choice"]["system"] == min(select, key=select.get)
        and record["choice"]["rule"] == "lowest_kl"
    )
    assert record["fairness"] == {
        "dropped": 0,
        "train_prompts": 20,
        "fitted": ["small_veneer", "baked", "own_veneer"],
        "report_part": "extracted_here",
    }
    identities = {r.system: r.system_id for r in results if r.system_id is not None}
    assert identities == {
        "shifted-1": SystemId.of("shifted", alpha="1"),
        "shifted-1@4": SystemId.of("shifted", alpha="1@4"),
    }
    assert (
        record["pair"]["base"]["name"] == "lab:large-base"
        and record["pair"]["small_base"]["name"] == "lab:base"
    )
    assert record["finished"] and {"capture small", "capture large", "bake", "timing"} <= set(
        record["seconds"]
    )


def test_again_changes_nothing_and_shows_the_table(veneer, whole):
    before = content(whole)
    result = veneer(*ORDER, "--out", whole)
    assert result.code == 0 and content(whole) == before
    assert "shifted-1@4" in result.out and "refusal rate" in result.out and "memory" in result.out


def test_another_configuration_is_refused(veneer, whole):
    before = content(whole)
    result = veneer(*[a if a != "1,1@4" else "1" for a in ORDER], "--out", whole)
    assert (
        result.code == 2
        and "another configuration (alphas: 1,1@4 there, 1 here)" in result.err.splitlines()[-1]
        and content(whole) == before
    )


def test_a_killed_run_resumes(runner, tmp_path):
    """kill -9 between the captures and the answers, then the same command: all is as if
    nobody had cut it."""
    brief = (
        "transfer",
        *ALL,
        "--tasks",
        "lab-sums",
        "--limit",
        "6",
        "--max-new-tokens",
        "8",
        "--alphas",
        "1",
        "--timing",
        "0",
    )
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert main([*brief, "--out", str(whole)]) == 0

    # at the first file operation of the answers, whatever else the machine does
    ended = runner.run(*brief, "--out", out, strike=1, below=str(out / "responses"))
    assert ended.status == -9, "the run ended before its kill"
    assert (out / "large-capture" / "manifest.json").exists()
    assert not (out / "responses").exists()
    assert not (out / "results.jsonl").exists()
    run_to_the_end(runner, *brief, "--out", out)
    assert content(out) == content(whole)


def test_an_interrupted_run_makes_its_missing_files_again(whole, tmp_path):
    """A folder as a run leaves it that was cut before some of its parts were there."""
    lost = (
        "large-capture",
        "baked",
        "timing.json",
        "responses/lab-sums.baked.jsonl",
        "responses/lab-requests.small-aligned.jsonl",
    )
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    record = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps({**record, "finished": False}))
    for name in (*lost, "results.jsonl", "report.html"):
        place = out / name
        shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    assert main([*ORDER, "--out", str(out)]) == 0
    hashes, expected = content(out), content(whole)
    assert set(hashes) == set(expected)
    timed = {"timing.json", "results.jsonl"}
    assert [name for name in expected if hashes[name] != expected[name] and name not in timed] == []
    rows = [
        [r for r in Results.read(f / "results.jsonl") if r.split != "timing"] for f in (out, whole)
    ]
    assert rows[0] == rows[1]


def test_a_given_veneer_needs_no_aligned_model_at_all(veneer, whole, tmp_path):
    """Only the two bases and a veneer: alpha to bake is chosen by headlines, there are no portions
    and no distances."""
    command = (
        "transfer",
        *LARGE,
        "--veneer",
        whole / "small-veneer",
        *SMALL,
        "--alphas",
        "0,1",
        "--bake",
        "--timing",
        "0",
    )
    result = veneer(*command, "--systems", "base,shifted,baked", "--out", tmp_path / "out")
    assert result.code == 0, result.err
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["choice"]["system"] == "shifted-1"
    assert record["choice"]["rule"] == "best_headlines"
    assert record["fairness"]["report_part"] == "unknown"
    results = Results.read(tmp_path / "out" / "results.jsonl")
    assert {r.system for r in results.where(study="measure", metric="empty_rate")} == {
        "base",
        "shifted-0",
        "shifted-1",
        "baked",
    }
    assert (
        not results.where(metric="portion")
        and not results.where(metric="kl")
        and results.where(metric="kl_from_shifted")
    )


def test_whether_a_given_veneer_saw_the_report_part_is_known_by_its_prompts(
    veneer, whole, tmp_path
):
    given = (
        "transfer",
        *LARGE,
        "--large-aligned",
        "lab:large-aligned",
        "--own",
        "--veneer",
        whole / "small-veneer",
        *SMALL,
    )
    more = ("--alphas", "1", "--timing", "0", "--systems", "base")
    for seed, known in ((0, True), (1, False)):
        out = tmp_path / str(seed)
        assert veneer(*given, *more, "--seed", seed, "--out", out).code == 0
        seen = json.loads((out / "run.json").read_text())["fairness"]["report_part"]
        assert seen == ("held_out" if known else "unknown")
        rows = Results.read(out / "results.jsonl").where(
            study="transfer", metric="kl", system="shifted-1", split="report"
        )
        assert {r.fact("report_part") for r in rows} == {None if known else "unknown"}
        assert any("not known" in (r.note or "") for r in rows) != known


BAD = {
    "no tasks": (("--tasks", ","), "--tasks names no task"),
    "alpha": (("--alphas", "1,much"), "--alphas is 'much'"),
    "alpha nan": (("--alphas", "nan"), "--alphas is 'nan'"),
    "no alpha": (("--alphas", ","), "there is no alpha"),
    "alpha twice": (("--alphas", "1,1.0"), "--alphas names 1 twice"),
    "own without the aligned model": (
        ("--own", "--large-aligned", None),
        "--own extracts the large model's own veneer",
    ),
    "no veneer and nothing to extract one from": (
        ("--aligned", None),
        "there is no veneer to transfer",
    ),
    "large twice": (
        ("--large-aligned", "lab:large-base"),
        "'lab:large-base' is given as --large and as --large-aligned",
    ),
    "small twice": (("--aligned", "lab:base"), "'lab:base' is given as --base and as --aligned"),
    "unknown system": (("--systems", "base,baked"), "no system 'baked' to measure"),
    "one round": (("--timing", "1"), "--timing is 1"),
    "limit": (("--limit", "0"), "--limit is 0"),
    "too few train prompts": (("--limit", "1"), "at least 3 (train, select, report)"),
    "veneer of another base": (
        ("--veneer", "{veneer}", "--base", "lab:large-base"),
        "give the base that it was extracted from",
    ),
    "no veneer folder": (("--veneer", "{none}"), "does not exist"),
    "vocabularies differ": (("--large", "{other}", "--large-aligned", None), "differ in"),
}


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Path:
    """A model with another tokenizer."""
    from tiny import tiny

    folder = tmp_path_factory.mktemp("other") / "model"
    lm = tiny("llama")
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_is_refused_before_any_work(veneer, whole, other, tmp_path, name):
    words, sentence = BAD[name]
    options = dict(zip(ALL[::2], ALL[1::2], strict=True)) | {
        "--tasks": "lab-sums",
        "--limit": "4",
        "--max-new-tokens": "8",
    }
    flags = [w for w in words if w == "--own"]
    pairs = [w for w in words if w != "--own"]
    options |= dict(zip(pairs[::2], pairs[1::2], strict=True))
    places = {"{veneer}": whole / "small-veneer", "{none}": tmp_path / "none", "{other}": other}
    arguments = [
        str(places.get(w, w)) for option, v in options.items() if v is not None for w in (option, v)
    ]
    result = veneer("transfer", *arguments, *flags, "--out", tmp_path / "out")
    assert result.code == 2, result
    last = result.err.splitlines()[-1]
    assert last.startswith("veneer: error: ") and sentence in last and "Traceback" not in result.err
    assert not (tmp_path / "out").exists()
