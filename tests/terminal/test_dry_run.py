"""`--dry-run` of every long command: it checks what the run would check, and writes nothing."""

from __future__ import annotations

import json
import shutil
from itertools import chain
from pathlib import Path

import pytest
from transformers import PreTrainedModel

from command_fixtures import PAIR
from tiny import tiny
from veneer.foundation.files import folder_lock

RUN = ("run", *PAIR, "--tasks", "lab-requests,lab-sums", "--limit", "5")
COMMANDS = {
    "run": RUN,
    "demo": ("demo", "--limit", "5"),
    "depth": ("depth", *PAIR, "--limit", "4", "--target", "Sure, here is"),
    "audit": ("audit", "lab:aligned", "lab:compromised", "--limit", "8"),
    "restore": (
        *("restore", "--compromised", "lab:compromised", "--aligned", "lab:aligned"),
        *("--base", "lab:base", "--limit", "8"),
    ),
    "transfer": (
        *("transfer", "--large", "lab:large-base", "--base", "lab:base"),
        *("--aligned", "lab:aligned", "--tasks", "lab-sums", "--limit", "8", "--bake"),
    ),
    "curve": ("curve", "--base", "lab:base", "--tasks", "lab-sums", "--sizes", "0,8"),
    "complexity": ("complexity", *PAIR, "--tasks", "lab-sums", "--limit", "12"),
    "recover": ("recover", *PAIR, "--prompts", "lab-requests", "--limit", "5"),
    "diversity": (
        *("diversity", *PAIR, "--prompts", "lab-requests", "--limit", "5"),
        *("--embedder", "none"),
    ),
    "capture": ("capture", *PAIR, "--prompts", "lab-sums", "--limit", "5"),
    "generate": ("generate", "--model", "lab:base", "--prompts", "lab-sums", "--limit", "5"),
}


@pytest.fixture
def no_weights(monkeypatch):
    """No model may be read."""

    def refuse(*args, **words):
        raise AssertionError("a dry run read the weights of a model")

    monkeypatch.setattr(PreTrainedModel, "from_pretrained", refuse)


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(p.relative_to(folder)): (p.stat().st_size, p.stat().st_mtime_ns)
        for p in folder.rglob("*")
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_a_dry_run_prints_the_plan_and_writes_nothing(name, veneer, tmp_path, no_weights):
    result = veneer(*COMMANDS[name], "--out", tmp_path / "out", "--dry-run")
    assert result.code == 0, result.err
    assert result.out.startswith(f"dry run of veneer {name}: nothing was written\n")
    assert f"{tmp_path / 'out'}: new" in result.out and "lab:" in result.out
    assert not list(tmp_path.iterdir())


def test_the_plan_counts_prompts_systems_and_tokens(veneer, tmp_path):
    result = veneer(*RUN, "--max-new-tokens", 7, "--out", tmp_path / "out", "--dry-run", "--json")
    plan = json.loads(result.out)
    stages = {stage["name"]: stage for stage in plan["stages"]}
    assert list(stages) == [
        "load",
        "capture",
        "extract",
        "measure",
        "discernment",
        "tokens",
        "report",
    ]
    assert stages["capture"]["answers"] == 10 and stages["capture"]["new_tokens"] == 70
    measure = stages["measure"]
    assert measure["prompts"] == {"lab-requests": 5, "lab-sums": 5}
    assert measure["systems"][:3] == ["base", "veneer", "aligned"] and len(measure["systems"]) == 7
    assert measure["answers"] == 70 and measure["new_tokens"] == 490
    assert plan["state"] == "new" and {m["name"] for m in plan["models"]} == {*PAIR[1::2]}
    assert all(m["bytes"] == 4 * m["parameters"] for m in plan["models"])
    assert {"capture/", "veneer/", "responses/", "run.json"} <= set(plan["writes"])


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        (("--aligned", "nowhere/at/all"), "there is no folder nowhere/at/all"),
        (("--aligned", "lab:algined"), "lab:algined"),
        (("--tasks", "lab-sum"), "did you mean 'lab-sums'"),
        (("--train", "2"), "expected at least 3"),
        (("--baselines", "lora-4000"), "learns from more answers"),
        (("--template-arg", "thinking=true"), "does not read 'thinking'"),
    ],
)
def test_bad_input_is_refused_as_by_the_run(more, wanted, veneer, tmp_path):
    options = dict(zip(RUN[1::2], RUN[2::2], strict=True)) | dict([more])
    command = ("run", *chain.from_iterable(options.items()), "--out", tmp_path / "out")
    planned, run = veneer(*command, "--dry-run"), veneer(*command)
    assert planned.code == run.code == 2
    assert planned.err.splitlines()[-1] == run.err.splitlines()[-1] and wanted in planned.err
    assert not list(tmp_path.iterdir())


def test_two_vocabularies_are_refused(veneer, tmp_path):
    lm = tiny()
    lm.model.save_pretrained(tmp_path / "tiny")
    lm.tokenizer.save_pretrained(tmp_path / "tiny")
    pair = (*PAIR[:3], tmp_path / "tiny")
    result = veneer("run", *pair, *RUN[5:], "--out", tmp_path / "out", "--dry-run")
    assert result.code == 2 and "expected two models with one tokenizer" in result.err
    assert not list(tmp_path.glob("out*"))


def test_a_folder_in_use_is_described_and_left_alone(demonstrated, veneer, tmp_path):
    out = tmp_path / "demo"
    shutil.copytree(demonstrated, out)
    command = ("demo", "--limit", "6", "--out", out, "--dry-run")
    before = tree(out)
    result = veneer(*command)
    assert result.code == 0 and "is finished" in result.out and tree(out) == before
    record = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps({**record, "finished": False}))
    (out / ".results.jsonl.x.part").write_text("half-written")
    before = tree(out)
    result = veneer(*command)
    assert (
        result.code == 0 and "an interrupted run" in result.out and "complete files" in result.out
    )
    assert tree(out) == before
    other = veneer(*command, "--seed", 1)
    assert other.code == 2 and "another configuration" in other.err and tree(out) == before


def test_a_place_that_cannot_be_used_is_refused(veneer, tmp_path):
    (tmp_path / "file").write_text("")
    result = veneer(*RUN, "--out", tmp_path / "file", "--dry-run")
    assert result.code == 2 and "is a file; expected a new or an empty folder" in result.err
    with folder_lock(tmp_path / "busy"):
        result = veneer(*RUN, "--out", tmp_path / "busy", "--dry-run")
    assert result.code == 2 and "another veneer command is working" in result.err


def test_a_capture_of_other_prompts_is_refused(captured, veneer):
    before = tree(captured)
    same = ("capture", *PAIR, "--prompts", "lab-requests", "--max-new-tokens", "16")
    result = veneer(*same, "--limit", 12, "--out", captured, "--dry-run")
    assert result.code == 0 and "is finished" in result.out
    result = veneer(*same, "--limit", 11, "--out", captured, "--dry-run")
    assert result.code == 2 and "made with another prompts_sha256" in result.err
    assert tree(captured) == before


def test_a_merge_is_planned(extracted, veneer, tmp_path, no_weights):
    merge = ("merge", extracted, "--out", tmp_path / "merged", "--dry-run")
    result = veneer(*merge, "--base", "lab:base")
    assert result.code == 0 and "merged: new" in result.out and not list(tmp_path.iterdir())
    result = veneer(*merge, "--base", "lab:large-base")
    assert result.code == 2 and "this veneer changes a head of" in result.err
