"""kill -9 of a command that captures on Ray: its workers end with it, and the same
command goes on."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from veneer.cli import main

VENEER = Path(sys.executable).parent / "veneer"
CAPTURE = (
    "capture",
    "--base",
    "lab:base",
    "--aligned",
    "lab:aligned",
    "--prompts",
    "lab-requests",
    "--limit",
    "64",
)
SHAPE = ("--max-new-tokens", "24", "--batch-size", "1", "--k", "16")
RAY = ("--engine", "ray", "--workers", "2")


def command(*words: object) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    return subprocess.Popen(
        [str(w) for w in (VENEER, *words)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def descendants(of: int) -> set[int]:
    """Process ids below one, its own left out."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    pids, before = {of}, set()
    while pids != before:
        before = set(pids)
        pids |= {pid for pid, parent in parents.items() if parent in pids}
    return pids - {of}


def running(pids: set[int]) -> dict[int, str]:
    """Those that have not ended, with their names."""
    alive = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            at = Path(f"/proc/{pid}")
            if (at / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                alive[pid] = (at / "cmdline").read_text().replace("\0", " ")
    return alive


def at_work(pids: set[int]) -> list[str]:
    """Without Ray's two agents, which say "Raylet is dead! Exiting" at once and end
    late (Ray 2.60)."""
    return [name for name in running(pids).values() if "Agent" not in name]


def within(seconds: float, there) -> bool:
    end = time.monotonic() + seconds
    while not there():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def content(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name not in ("run.json", ".lock")
    }


def test_a_killed_command_takes_its_workers_with_it_and_resumes(tmp_path):
    pytest.importorskip("ray", reason="needs the package ray")
    local, out = tmp_path / "local", tmp_path / "out"
    assert main([*CAPTURE, *SHAPE, "--out", str(local)]) == 0
    process, below = command(*CAPTURE, *SHAPE, *RAY, "--out", out), set()
    try:
        assert within(180, lambda: any(out.glob("shard-*.json")) or process.poll() is not None)
        below = descendants(process.pid)
        assert below, "Ray's own processes"
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -9, "it had ended"
        assert within(60, lambda: not at_work(below)), f"left behind: {at_work(below)}"
    finally:
        for pid in running(below):
            os.kill(pid, signal.SIGKILL)
    there = {p.name: p.stat().st_mtime_ns for p in out.glob("shard-*.json")}
    assert 0 < len(there) < len(list(local.glob("shard-*.json")))
    again = command(*CAPTURE, *SHAPE, *RAY, "--out", out)
    _, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    assert content(out) == content(local)
    assert all((out / name).stat().st_mtime_ns == when for name, when in there.items()), (
        "made again"
    )
