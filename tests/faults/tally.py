"""Counting faults: what was done to the software, and whether it lost anything."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from forked import Ended

PAIR = ("--base", "lab:base", "--aligned", "lab:aligned")

LIBRARY = "--- Logging error ---\nTraceback"  # transformers' report of a strange checkpoint breaks its own log


class Tally:
    """Faults by kind: how many were injected and how many were survived with nothing lost.

    With VENEER_FAULTS_OUT (benchmarks/faults.py sets it) the counts go there, a JSON line a test; VENEER_FAULTS_ROUNDS is the number of
    random moments of each command (3 where it is not set).
    """

    def __init__(self, test: str):
        self.test, self.injected, self.survived, self.lost = test, Counter(), Counter(), []
        self.rounds = int(os.environ.get("VENEER_FAULTS_ROUNDS", "3"))
        self.long = "VENEER_FAULTS_ROUNDS" in os.environ

    @contextlib.contextmanager
    def fault(self, kind: str) -> Iterator[None]:
        """One injected fault: survived where the block ends without an assertion that fails; the test fails at its end otherwise."""
        self.injected[kind] += 1
        try:
            yield
        except AssertionError as error:
            self.lost.append(f"{kind}: {error}")
        else:
            self.survived[kind] += 1

    def close(self) -> None:
        if place := os.environ.get("VENEER_FAULTS_OUT"):
            with Path(place).open("a", encoding="utf-8") as stream:
                for kind, n in self.injected.items():
                    row = {"kind": kind, "injected": n, "survived": self.survived[kind], "test": self.test}
                    stream.write(json.dumps(row) + "\n")
        assert not self.lost, "\n".join(self.lost)


def sentence(ended: Ended, *codes: int) -> str:
    """The one sentence that a command that failed says; no traceback, no library's exception by name."""
    last = ended.err.rstrip("\n").splitlines()[-1] if ended.err.strip() else ""
    assert ended.status in (codes or (2,)), f"exit {ended.status}: {ended.err[-600:]}"
    assert "Traceback" not in ended.err.replace(LIBRARY, ""), ended.err[-1500:]
    assert last.startswith("veneer: error: ") and 20 < len(last) < 1500, last[:300]
    assert not re.match(r"veneer: error: \w*(Error|Exception|Warning): ", last), last[:300]
    return last
