"""Extraction under torchrun: two processes find what one finds; one process under torchrun
finds the very bytes."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from together import CONFIGS

from pairs import chat_pair, small_capture
from veneer.foundation.errors import InputError
from veneer.head.config import ExtractConfig
from veneer.head.extract import extract, split_of
from veneer.head.veneer import Veneer
from veneer.measures.held_out import held_out
from veneer.scale.extraction import chosen_engine, holders
from veneer.scale.remote import open_capture
from veneer.scale.share import shares

TORCHRUN = Path(sys.executable).parent / "torchrun"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def captured(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("captured") / "capture"
    small_capture(out, chat_pair(), n=40)
    return out


def torchrun(processes: int, *command: object, restarts: int = 0) -> subprocess.Popen:
    words = (
        TORCHRUN,
        "--nproc-per-node",
        processes,
        "--max-restarts",
        restarts,
        "--master-addr",
        "127.0.0.1",
    )
    return subprocess.Popen(
        [str(x) for x in (*words, "--master-port", free_port(), *command)],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_shards_are_dealt_out_alike(captured):
    whole = open_capture(captured)
    dealt = shares(str(captured), 3)
    assert sorted(n for own in dealt for n in own) == whole.shards
    sizes = [sum(len(whole.read(n, ("token",))["token"]) for n in own) for own in dealt]
    largest = max(len(whole.read(n, ("token",))["token"]) for n in whole.shards)
    assert max(sizes) - min(sizes) <= largest


@pytest.fixture(scope="module")
def together(captured, tmp_path_factory) -> Path:
    """What two processes find."""
    out = tmp_path_factory.mktemp("together")
    process = torchrun(2, Path(__file__).parent / "together.py", captured, out)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return out


@pytest.mark.parametrize("name", CONFIGS)
def test_two_processes_find_what_one_finds(name, captured, together):
    """Sums over two parts round otherwise than one sum, and no more: at the optimum and in float64
    dW itself is the same; a search in float32 that ends on the select part takes another way
    through directions that the data hardly visit."""
    capture, config = open_capture(captured), CONFIGS[name]
    alone, both = extract(capture, config).veneer, Veneer.load(together / name)
    a, b = alone.facts["extraction"], both.facts["extraction"]
    assert {k: both.facts[k] for k in ("split", "capture", "config")} == {
        k: alone.facts[k] for k in ("split", "capture", "config")
    }
    assert a["train_tokens"] == b["train_tokens"] and both.changed_rows().equal(
        alone.changed_rows()
    )
    assert a["select_kl_base"] == pytest.approx(b["select_kl_base"], abs=1e-6)
    exact = config.dtype == "float64"
    assert b["objective"] == pytest.approx(a["objective"], rel=1e-6 if exact else 5e-5)
    if name == "exact":
        assert float((both.values() - alone.values()).norm() / alone.values().norm()) < 1e-4
    prompts = split_of(capture, config.seed).report
    kl = [held_out(capture, v, prompts).kl_veneer.mean() for v in (alone, both)]
    assert kl[1] == pytest.approx(kl[0], rel=1e-4)


def test_one_process_under_torchrun_finds_the_very_bytes(captured, monkeypatch):
    words = {
        "RANK": 0,
        "WORLD_SIZE": 1,
        "LOCAL_RANK": 0,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": free_port(),
        "TORCHELASTIC_RUN_ID": "x",
    }
    for name, value in words.items():
        monkeypatch.setenv(name, str(value))
    assert chosen_engine("local") == "torchrun"
    capture = open_capture(captured)
    for config in (ExtractConfig(), ExtractConfig(output="bias")):
        with holders("torchrun", str(captured), config, device="cpu") as held:
            extraction = extract(capture, config, source=held.source)
        alone = extract(capture, config)
        assert extraction.veneer.facts["extraction"] == alone.veneer.facts["extraction"]
        assert extraction.veneer.identity() == alone.veneer.identity()


def test_what_one_process_must_do_is_refused(captured, monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    with pytest.raises(InputError, match="torchrun did not start this process"):
        chosen_engine("torchrun")
    for config in (ExtractConfig(shuffled=True), ExtractConfig(solver="paper")):
        with (
            pytest.raises(InputError, match="in one process"),
            holders("ray", str(captured), config),
        ):
            pass


def content(folder: Path) -> dict[str, str]:
    names = ("veneer.json", "veneer.safetensors", "results.jsonl", "shifts.jsonl")
    return {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names}


def followers(process: subprocess.Popen) -> list[int]:
    """The processes that torchrun started, in the order of their ranks."""
    import psutil

    children = [
        c for c in psutil.Process(process.pid).children() if "extract" in " ".join(c.cmdline())
    ]
    return [c.pid for c in sorted(children, key=lambda c: int(c.environ()["RANK"]))]


@pytest.mark.slow
def test_a_killed_process_ends_the_run_or_starts_it_again(captured, tmp_path):
    """Without restarts the run fails in a sentence and leaves no veneer; the same command then ends
    as a run that nobody cut. With --max-restarts it does so by itself. Either starts the search
    from its beginning."""
    command = ("-m", "veneer", "extract", captured, "--stop", "optimum", "--ridge", "0.001")
    whole = torchrun(2, *command, "--out", tmp_path / "whole")
    assert whole.communicate(timeout=300) and whole.returncode == 0

    def cut(out: Path, restarts: int) -> tuple[int, str]:
        process = torchrun(2, *command, "--out", out, restarts=restarts)
        while not (out / ".lock").exists() and process.poll() is None:
            time.sleep(0.02)
        time.sleep(0.3)
        os.kill(followers(process)[1], signal.SIGKILL)
        output, _ = process.communicate(timeout=300)
        return process.returncode, output

    code, output = cut(tmp_path / "cut", restarts=0)
    assert (
        code != 0
        and "another process of this extraction is gone" in output
        and not (tmp_path / "cut" / "veneer.json").exists()
    )
    again = torchrun(2, *command, "--out", tmp_path / "cut")
    assert again.communicate(timeout=300) and again.returncode == 0
    assert cut(tmp_path / "restarted", restarts=1)[0] == 0
    assert (
        content(tmp_path / "cut") == content(tmp_path / "whole") == content(tmp_path / "restarted")
    )


def test_all_processes_report_a_damaged_share(captured, tmp_path):
    """The second process's shard is damaged: no process hangs, and the sentence names the shard."""
    import shutil

    bad = tmp_path / "bad"
    shutil.copytree(captured, bad)
    number = shares(str(bad), 2)[1][0]
    shard = bad / f"shard-{number:05d}.safetensors"
    shard.write_bytes(shard.read_bytes()[:-4] + b"oops")
    process = torchrun(2, Path(__file__).parent / "together.py", bad, tmp_path)
    output, _ = process.communicate(timeout=300)
    assert process.returncode != 0 and f"process 1: {shard} is damaged" in output
