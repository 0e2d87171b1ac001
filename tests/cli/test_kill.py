"""kill -9 at moments drawn from a seed, then the same command: the folder is that of a run
that nobody cut."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from pathlib import Path

import pytest

from killing import PAIR, content, killed_after, run_to_the_end, wait_for

RUN = (
    "run",
    *PAIR,
    "--tasks",
    "lab-requests,lab-sums",
    "--limit",
    "12",
    "--max-new-tokens",
    "24",
    "--batch-size",
    "4",
)


@pytest.fixture(scope="module")
def whole(runner, tmp_path_factory) -> tuple[Path, float]:
    """A run that nobody cut, and its seconds."""
    out = tmp_path_factory.mktemp("whole") / "run"
    return out, run_to_the_end(runner, *RUN, "--out", out)


def test_a_run_that_is_killed_again_and_again_ends_the_same(whole, runner, tmp_path):
    """Four kills spread over the run. A moment is so many new files and then a part of a file's
    time, so that a busy machine shifts none of them behind the end; nor does a pause that was
    measured while it was busier, which ends before the last files."""
    folder, seconds = whole
    out, draw = tmp_path / "run", random.Random(1)
    total = len(files(folder))
    cuts = 0
    for part in (0.05, 0.3, 0.5, 0.8):
        wanted = int(total * (part + 0.15 * draw.random()))
        pause = draw.random() * 2 * seconds / total

        def wait(wanted=wanted, pause=pause):
            while runner.running() and len(files(out)) < wanted:
                time.sleep(0.005)
            end = time.monotonic() + pause
            while runner.running() and len(files(out)) < total - 3 and time.monotonic() < end:
                time.sleep(0.005)

        cuts += killed_after(runner, wait, *RUN, "--out", out)
    assert cuts == 4, "a run ended before its kill"
    assert content(out) != content(folder)
    run_to_the_end(runner, *RUN, "--out", out)
    hashes, expected = content(out), content(folder)
    assert set(hashes) == set(expected)
    assert [name for name in expected if hashes[name] != expected[name]] == []
    assert (out / "report.html").is_file()


def files(folder: Path) -> list[Path]:
    """Whole files; temporaries come and go while this looks (os.walk passes over a
    folder that has gone)."""
    return [
        Path(at) / n
        for at, _, names in os.walk(folder)
        if not at.endswith(".part")
        for n in names
        if not n.endswith(".part")
    ]


def test_a_run_killed_before_its_first_record_resumes(runner, tmp_path):
    """What a kill leaves while run.json is written for the first time, and what one leaves between
    two files of a study."""
    out = tmp_path / "run"
    out.mkdir()
    (out / ".lock").touch()
    (out / ".run.json.abc.part").write_text("{")
    short = (
        "run",
        *PAIR,
        "--tasks",
        "lab-sums",
        "--limit",
        "4",
        "--max-new-tokens",
        "4",
        "--no-controls",
        "--out",
        out,
    )
    run_to_the_end(runner, *short)
    whole = content(out)
    assert not [name for name in whole if name.endswith(".part")]
    again = tmp_path / "again"
    shutil.copytree(out, again)
    (again / "run.json").write_text(
        (again / "run.json").read_text().replace('"finished": true', '"finished": false')
    )
    (again / "veneer" / ".veneer.safetensors.abc.part").write_text("half")
    # killed between the whole file and the end of its part
    answers = again / "responses" / "lab-sums.veneer.jsonl"
    stamp = json.loads(answers.with_name(answers.name + ".manifest.json").read_text())["settings"]
    answers.with_name(answers.name + ".part").write_text(json.dumps({"settings": stamp}) + "\n")
    (again / "results.jsonl").unlink()
    run_to_the_end(runner, *short[:-1], again)
    assert content(again) == whole


def test_a_killed_extraction_ends_the_same(captured, runner, tmp_path):
    command = ("extract", captured, "--ridge", "0.01", "--stop", "optimum", "--out")
    seconds = run_to_the_end(runner, *command, tmp_path / "whole")
    out, cuts = tmp_path / "cut", 0
    for share in (0.0, 0.2, 0.4):  # the first one cuts on any machine

        def wait(share=share):
            wait_for(out / ".lock", runner)
            time.sleep(share * seconds)

        cuts += killed_after(runner, wait, *command, out)
        if (out / "veneer.json").exists():
            break
    assert cuts >= 1
    run_to_the_end(runner, *command, out)
    expected = content(tmp_path / "whole")
    assert "veneer.safetensors" in expected and content(out) == expected
