"""Commands in processes of their own that start at once, and what to do to them: kill,
interrupt, starve."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil

HERE = Path(__file__).resolve().parent
PATIENCE = 120.0  # seconds for a command that takes one or two


@dataclass
class Ended:
    """status: exit code, or minus the signal. seconds: from the start of the work."""

    status: int
    seconds: float
    out: str
    err: str


class Runner:
    """Forks commands from one process that has imported everything (zygote.py); one at a time.

    environment: variables of that process, for what libraries read when they are imported; None
    takes one away. installed: a folder of packages that it finds beside its own."""

    def __init__(
        self,
        environment: Mapping[str, str | None] = MappingProxyType({}),
        installed: Path | None = None,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="veneer-faults-"))
        places = [str(HERE), str(HERE / "faults"), os.environ.get("PYTHONPATH", "")]
        places += [str(installed)] if installed else []
        variables = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, places)),
            **environment,
        }
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "zygote.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={name: value for name, value in variables.items() if value is not None},
        )
        self._receive()

    def start(self, *args: object, **order: Any) -> int:
        """Start a command; its process id."""
        streams = {name: str(self.folder / name) for name in ("stdout", "stderr")}
        self._send(json.dumps({"args": [str(a) for a in args], **streams, **order}) + "\n")
        self.pid: int = self._receive()["pid"]
        return self.pid

    def running(self) -> bool:
        """Whether the command that was started is still at work; `end` has not been called."""
        return psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE

    def end(self) -> Ended:
        """Wait for the command."""
        self._send("\n")
        # a hang is a failure and no hang of the tests
        patience = threading.Timer(PATIENCE, os.kill, (self.pid, signal.SIGKILL))
        patience.start()
        reply = self._receive()
        patience.cancel()
        streams = [
            (self.folder / name).read_text(errors="replace") for name in ("stdout", "stderr")
        ]
        return Ended(reply["status"], reply["seconds"], *streams)

    def run(self, *args: object, **order: Any) -> Ended:
        self.start(*args, **order)
        return self.end()

    def struck(self, after: float, number: int, *args: object, **order: Any) -> Ended:
        """Start a command and send it a signal after some seconds."""
        pid = self.start(*args, **order)
        time.sleep(after)
        os.kill(pid, number)  # not reaped before `end`: the id is still its own
        return self.end()

    def kill(self, after: float, *args: object, **order: Any) -> Ended:
        return self.struck(after, signal.SIGKILL, *args, **order)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()

    def _send(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


def content(*places: Path) -> dict[str, str]:
    """Hashes of all files, but of what may differ (contract.md), and of report.html,
    which holds seconds."""
    hashes = {}
    for place in places:
        for path in (
            sorted(place.rglob("*")) if place.is_dir() else [place] if place.exists() else []
        ):
            name = path.name
            free = (
                name in ("run.json", "report.html")
                or "manifest" in name
                or path.suffix == ".log"
                or name.startswith(".lock")
            )
            if path.is_file() and not free:
                hashes[str(path.relative_to(place.parent))] = hashlib.sha256(
                    path.read_bytes()
                ).hexdigest()
    return hashes


def half_written(hashes: dict[str, str], whole: dict[str, str]) -> list[str]:
    """Files under their final names that are not the undisturbed run's; temporaries (.part) are not
    under their final names."""
    return [
        name
        for name, digest in hashes.items()
        if not name.endswith(".part") and ".part/" not in name and whole.get(name) != digest
    ]
