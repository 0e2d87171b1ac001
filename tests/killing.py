"""Commands that are killed, and what their folders then hold."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import forked
from forked import Runner

PAIR = ("--base", "lab:base", "--aligned", "lab:aligned")


def content(folder: Path) -> dict[str, str]:
    """Hashes of a folder's files by their path in it, but of what may differ."""
    return {
        name.removeprefix(f"{folder.name}/"): digest
        for name, digest in forked.content(folder).items()
    }


def run_to_the_end(runner: Runner, *command: object) -> float:
    """Run a command; returns the seconds that it took."""
    ended = runner.run(*command)
    assert ended.status == 0, ended.err
    return ended.seconds


def wait_for(path: Path, runner: Runner, seconds: float = 120) -> None:
    """Wait until a path exists, the command has ended, or the seconds have passed."""
    end = time.monotonic() + seconds
    while not path.exists() and runner.running() and time.monotonic() < end:
        time.sleep(0.005)


def killed_after(runner: Runner, wait: Callable[[], object], *command: object) -> bool:
    """Start a command, let `wait()` choose the moment, kill it; whether it was still at
    work then."""
    runner.start(*command)
    wait()
    os.kill(runner.pid, signal.SIGKILL)
    return runner.end().status == -signal.SIGKILL
