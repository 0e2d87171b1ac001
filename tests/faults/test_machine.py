"""What a machine does to a command: full disks, no memory, Ctrl-C, a second command in the folder,
clocks that jump."""

from __future__ import annotations

import copy
import fcntl
import os
import random
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from tally import PAIR, sentence
from test_killed_anywhere import below, words

from forked import content
from small_disk import disk
from veneer.models.load import load_model

QUICK = {"capture", "generate"}
# command -> sizes of a disk that fills up while it works
DISKS = {
    "capture": ("4k", "300k", "900k"),
    "extract": ("4k", "64k", "120k"),
    "merge": ("300k",),
    "generate": ("4k", "8k"),
    "report": ("64k",),
    "measure": ("16k", "64k"),
    "import": ("4k",),
    "run": ("300k", "1m"),
}
LONG = {
    **dict.fromkeys(DISKS, ()),
    "report": ("report", "{study}", "--out", "{out}.html", "--tables", "{out}"),
}


def command(name: str, artefacts: dict[str, Path], out: Path) -> list[str]:
    if LONG[name]:
        return [w.format(out=out, **artefacts) for w in LONG[name]]
    return words(name, artefacts, out)


@pytest.mark.parametrize(("name", "size"), [(n, s) for n, sizes in DISKS.items() for s in sizes])
def test_a_full_disk_is_said_and_gone_over(name, size, artefacts, runner, tally, tmp_path):
    """Whole files only, one sentence, exit 1; with more room the same command ends as if
    nothing had been."""
    if not tally.long and name not in QUICK:
        pytest.skip("a part of the long campaign (benchmarks/faults.py)")
    ended = runner.run(*command(name, artefacts, tmp_path / "whole" / "out"))
    assert ended.status == 0, ended.err
    expected, at = below(tmp_path / "whole"), tmp_path / "disk"
    with disk(at, size):
        ended = runner.run(*command(name, artefacts, at / "out"))
        if ended.status == 0 and name == "import":
            pytest.skip("this file system keeps so little without a block of its own")
        with tally.fault(f"disk full: {name}"):
            assert "free some space" in sentence(ended, 1)
            leftovers = below(at)
            part = [
                n
                for n, digest in leftovers.items()
                if not n.endswith(".part") and expected.get(n) != digest and "tokenizer" not in n
            ]
            assert not part, f"half-written: {part}"
            assert not [p for p in at.rglob(".*.part")], "temporaries stay"
            subprocess.run(["mount", "-o", "remount,size=60m", str(at)], check=True)
            ended = runner.run(*command(name, artefacts, at / "out"))
            assert ended.status == 0, ended.err[-400:]
            assert below(at) == expected, sorted(
                {n for n, _ in below(at).items() ^ expected.items()}
            )


@pytest.fixture(scope="module")
def heavy(tmp_path_factory) -> Path:
    """lab:base with feed-forward layers of random weights, 100 MB: more than what a process that
    forked has free within its own heap."""
    lm, folder = load_model("lab:base"), tmp_path_factory.mktemp("heavy")
    config = copy.deepcopy(lm.model.config)
    config.intermediate_size = (
        100 * 2**20 // (4 * 3 * config.hidden_size * config.num_hidden_layers)
    )
    type(lm.model)(config).save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", ["capture", "generate"])
def test_where_memory_runs_out_the_batch_is_halved(name, artefacts, heavy, runner, tally, tmp_path):
    """A real limit on the address space and torch's own allocator; what is answered
    does not change."""
    batch = ("--limit", 16, "--max-new-tokens", 6, "--batch-size", 16)
    command = {
        "capture": ("capture", *PAIR, "--prompts", "lab-requests", *batch, "--out"),
        "generate": (
            "generate",
            "--model",
            "lab:base",
            "--veneer",
            artefacts["veneer"],
            "--prompts",
            "lab-sums",
            *batch,
            "--out",
        ),
    }[name]
    assert runner.run(*command, tmp_path / "whole" / "out", setup="hungry:much_a_row").status == 0
    for room in (280, 200)[: 2 if tally.long else 1]:
        with tally.fault(f"out of memory, back-off: {name}"):
            at = tmp_path / str(room)
            ended = runner.run(*command, at / "out", setup="hungry:much_a_row", memory=room * 2**20)
            assert ended.status == 0, ended.err[-500:]
            assert set(below(at)) == set(below(tmp_path / "whole"))
            mine, theirs = (
                sorted((p / "out").rglob("responses-*")) or [p / "out"]
                for p in (at, tmp_path / "whole")
            )
            assert [p.read_bytes() for p in mine] == [p.read_bytes() for p in theirs], (
                "other answers"
            )
    with tally.fault(f"out of memory for one prompt: {name}"):
        at = tmp_path / "none"
        ended = runner.run(*command, at / "out", setup="hungry:too_much_a_row", memory=280 * 2**20)
        assert "memory ran out for a single prompt" in sentence(ended, 1)
        ended = runner.run(*command, at / "out", setup="hungry:much_a_row")
        assert ended.status == 0 and below(at) == below(tmp_path / "whole"), ended.err[-400:]
    with tally.fault("out of memory while a model loads"):
        named = [heavy if word == "lab:base" else word for word in command]
        ended = runner.run(*named, tmp_path / "load" / "out", memory=48 * 2**20)
        assert "memory ran out" in sentence(ended, 1) and not below(tmp_path / "load")


def test_states_that_overflow_are_an_error_and_no_capture(runner, tally, tmp_path):
    with tally.fault("NaN or inf in states while working"):
        command = (
            "capture",
            *PAIR,
            "--prompts",
            "lab-requests",
            "--limit",
            4,
            "--max-new-tokens",
            4,
            "--out",
            tmp_path / "out",
        )
        ended = runner.run(*command, setup="hungry:weights_that_overflow")
        assert "finite" in sentence(ended, 1, 2)
        assert not list((tmp_path / "out").glob("shard-*"))
        assert runner.run(*command).status == 0


@pytest.mark.parametrize("name", ["capture", "extract", "generate", "measure"])
def test_ctrl_c_at_random_moments(name, artefacts, runner, tally, tmp_path):
    if not tally.long and name not in QUICK:
        pytest.skip("a part of the long campaign (benchmarks/faults.py)")
    whole = runner.run(*words(name, artefacts, tmp_path / "whole" / "out"))
    assert whole.status == 0, whole.err
    expected, draw = below(tmp_path / "whole"), random.Random(f"ctrl-c {name}")
    for number in range(tally.rounds):
        at = tmp_path / str(number)
        ended = runner.struck(
            draw.uniform(0.05, 0.95) * whole.seconds,
            signal.SIGINT,
            *words(name, artefacts, at / "out"),
        )
        if ended.status == 0:
            continue  # it had just ended
        with tally.fault(f"Ctrl-C: {name}"):
            assert ended.status == 130 and "Traceback" not in ended.err, (
                f"{ended.status}: {ended.err[-800:]}"
            )
            assert "interrupted" in ended.err.strip().splitlines()[-1]
            assert not list(at.rglob(".*.part")), "temporaries stay"
            ended = runner.run(*words(name, artefacts, at / "out"))
            assert ended.status == 0 and below(at) == expected, ended.err[-400:]


def test_two_commands_in_one_place(artefacts, runner, tally, tmp_path, capfd):
    """While one process holds the lock, every command that writes there is refused; the lock of a
    dead process holds nobody up."""
    from veneer.systems.partial_file import PartialFile
    from veneer.systems.stamp import Stamp

    for name in ("capture", "extract", "measure", "run"):
        out = tmp_path / name
        out.mkdir()
        with (out / ".lock").open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            with tally.fault("two commands in one folder"):
                assert "another veneer command is working" in sentence(
                    runner.run(*words(name, artefacts, out))
                )
                assert [p.name for p in out.iterdir()] == [".lock"]
    part = PartialFile(tmp_path / "answers.jsonl.part", Stamp("of the first"), [[0]])
    with tally.fault("two commands in one folder"):
        ended = runner.run(
            "generate",
            "--model",
            "lab:base",
            "--prompts",
            "lab-sums",
            "--limit",
            2,
            "--out",
            tmp_path / "answers.jsonl",
        )
        assert "another veneer command is writing" in sentence(ended)
    part.close(remove=True)
    with tally.fault("lock of a dead process"):
        # a number that no process has
        (tmp_path / "extract" / ".lock").write_text(f"{2**22 - 1}\n")
        os.utime(tmp_path / "extract" / ".lock", (0, 2**33))
        ended = runner.run(*words("extract", artefacts, tmp_path / "extract"))
        assert ended.status == 0, ended.err


@pytest.mark.parametrize("name", ["capture", "generate"])
def test_clocks_that_jump(name, artefacts, runner, tally, tmp_path):
    """Forwards, back, and between two calls: neither a result nor the going-on
    depends on any clock."""
    assert runner.run(*words(name, artefacts, tmp_path / "whole" / "out")).status == 0
    expected = below(tmp_path / "whole")
    for number, jumps in enumerate(([3e9], [-1.7e9], [0.0, 1e6, -1e6, 5.0])):
        at = tmp_path / str(number)
        with tally.fault("clock that jumps"):
            ended = runner.run(
                *words(name, artefacts, at / "out"), strike=6, below=str(at), clock=jumps
            )
            assert ended.status == -9
            ended = runner.run(*words(name, artefacts, at / "out"), clock=[-x for x in jumps])
            assert ended.status == 0 and below(at) == expected, ended.err[-500:]
    # files from the future and from before the epoch's first day
    with tally.fault("clock that jumps"):
        for n, path in enumerate(p for p in at.rglob("*") if p.is_file()):
            os.utime(path, (0, 2**33) if n % 2 else (2**33, 1))
        ended = runner.run(*words(name, artefacts, at / "out"))
        assert ended.status == 0 and below(at) == expected, ended.err[-500:]


def test_a_real_clock_that_jumps(artefacts, tally, tmp_path):
    """The executable under libfaketime, where it is installed: seventeen years on, and back for
    the second half."""
    library = os.environ.get("VENEER_FAKETIME") or next(
        iter(map(str, Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None
    )
    if not tally.long or library is None or shutil.which("veneer") is None:
        pytest.skip(
            "a part of the long campaign, and needs libfaketime (VENEER_FAKETIME names the library)"
        )
    command = ["veneer", *words("generate", artefacts, tmp_path / "a")]
    with tally.fault("clock that jumps"):
        for shift, out in (("+17y", tmp_path / "a"), ("-20y", tmp_path / "b")):
            command[-1] = str(out)
            environment = {
                **os.environ,
                "LD_PRELOAD": library,
                "FAKETIME": shift,
                "OMP_NUM_THREADS": "1",
            }
            done = subprocess.run(
                command, capture_output=True, text=True, env=environment, timeout=170
            )
            assert done.returncode == 0, done.stderr[-500:]
        assert content(tmp_path / "a").values() and [*content(tmp_path / "a").values()] == [
            *content(tmp_path / "b").values()
        ]
