"""A process that has imported everything and forks a child for each command, so that a kill meets
work and not imports.

Reads a JSON line an order from stdin and writes one for the child's start ({"pid"}); an empty line
asks for its end ({"status", "seconds"}). An order: {"args", "stdout", "stderr", "env", "cwd",
"strike", "below", "memory", "clock", "setup"}. strike: kill -9 itself at this file operation (from
1; 0 counts them), of those whose path lies below `below`. memory: bytes of address space beyond
what is in use (RLIMIT_AS). clock: seconds that every clock jumps by, in turn, at each call. setup:
a function MODULE:NAME that is called first.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import itertools
import json
import os
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path

FILE_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}


def preload() -> None:
    import torch

    import veneer.cli.main
    import veneer.imports.tables
    import veneer.measures.extraction
    import veneer.report
    import veneer.report.export
    import veneer.studies.portion.study
    import veneer.tasks.source

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        words = (
            "capture --base lab:base --aligned lab:aligned --prompts lab-sums --limit 3 "
            "--max-new-tokens 2 --out"
        )
        # what is imported when it is first needed
        veneer.cli.main([*words.split(), f"{folder}/capture"])
        veneer.cli.main(["extract", f"{folder}/capture", "--out", f"{folder}/veneer"])


def strike_at(number: int, below: str) -> list[str]:
    """kill -9 at the number-th file operation below a path; the operation itself is not done.
    Number 0 only counts; gives what was seen."""
    seen: list[str] = []

    def hook(event: str, args: tuple) -> None:
        if event in FILE_EVENTS and any(
            isinstance(a, str | os.PathLike) and os.fspath(a).startswith(below) for a in args[:2]
        ):
            if event == "open" and not (
                isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
            ):
                return
            seen.append(event)
            if len(seen) == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return seen


def jump(seconds: list[float]) -> None:
    """Every clock jumps by each of `seconds` in turn, forwards and back (the monotonic ones too,
    which no kernel does)."""
    for name in ("time", "monotonic", "perf_counter"):
        real, by = getattr(time, name), itertools.cycle(seconds)
        setattr(time, name, lambda real=real, by=by: real() + next(by))


def child(order: dict) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream, name in ((1, "stdout"), (2, "stderr")):
        handle = os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(handle, stream)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    os.environ.update(order.get("env") or {})
    if order.get("cwd"):
        os.chdir(order["cwd"])
    if order.get("setup"):
        module, _, name = order["setup"].partition(":")
        getattr(importlib.import_module(module), name)()
    if order.get("memory"):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + order["memory"],) * 2)
    seen = strike_at(order["strike"], order["below"]) if "strike" in order else []
    if order.get("clock"):
        jump(order["clock"])
    from veneer.cli.main import entry

    sys.argv = ["veneer", *order["args"]]
    try:
        entry()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 99
    if seen:
        print(f"file operations: {len(seen)}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    preload()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        order, started = json.loads(line), time.monotonic()
        pid = os.fork()
        if pid == 0:
            child(order)
        print(json.dumps({"pid": pid}), flush=True)
        sys.stdin.readline()  # until then its id stays its own, dead or alive
        _, status = os.waitpid(pid, 0)
        print(
            json.dumps(
                {"status": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - started}
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
