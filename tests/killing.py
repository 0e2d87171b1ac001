"""Commands in processes of their own that are killed, and what their folders then hold."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

VENEER = Path(sys.executable).parent / "veneer"
PAIR = ("--base", "lab:base", "--aligned", "lab:aligned")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def content(folder: Path) -> dict[str, str]:
    """Hashes of everything but what may differ (contract.md), and but report.html,
    which holds seconds."""
    may_differ = ("run.json", "report.html")
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
        and p.name not in may_differ
        and "manifest" not in p.name
        and p.suffix != ".log"
        and not p.name.startswith(".lock")
    }


def start(*command: object) -> subprocess.Popen:
    return subprocess.Popen(
        [str(x) for x in (VENEER, *command)],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_to_the_end(*command: object) -> float:
    """Run a command; returns the seconds from its first file on."""
    out = Path(str(command[command.index("--out") + 1]))
    process = start(*command)
    wait_for(out, process)
    begun = time.monotonic()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return time.monotonic() - begun


def wait_for(path: Path, process: subprocess.Popen) -> None:
    while not path.exists() and process.poll() is None:
        time.sleep(0.01)


def killed_after(wait, *command: object) -> bool:
    """Start a command, let `wait(process)` choose the moment, kill it; whether it was
    still at work then."""
    process = start(*command)
    wait(process)
    process.kill()
    process.communicate()
    return process.returncode == -9
