"""Counting faults: what was done to the software, and whether it lost anything."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from forked import Ended

PAIR = ("--base", "lab:base", "--aligned", "lab:aligned")

# transformers' report of a strange checkpoint breaks its own log
LIBRARY = "--- Logging error ---\nTraceback"


class Tally:
    """Faults by kind: how many were injected and how many were survived with nothing lost.

    With VENEER_FAULTS_OUT (benchmarks/faults.py sets it) the counts go there, a JSON line a fault;
    VENEER_FAULTS_ROUNDS is the number of random moments of each command (3 where it is not set).
    """

    def __init__(self, test: str):
        self.test = test
        self.lost: list[str] = []
        self.rounds = int(os.environ.get("VENEER_FAULTS_ROUNDS", "3"))
        self.long = "VENEER_FAULTS_ROUNDS" in os.environ

    @contextlib.contextmanager
    def fault(self, kind: str) -> Iterator[None]:
        """One injected fault: survived where the block ends without an assertion that fails; the
        test fails at its end otherwise."""
        why = None
        try:
            yield
        except AssertionError as error:
            why = f"{kind}: {error}"
            self.lost.append(why)
        self.count(kind, 1, int(why is None), why)

    def count(self, kind: str, injected: int, survived: int, why: str | None = None) -> None:
        if place := os.environ.get("VENEER_FAULTS_OUT"):
            row = {
                "kind": kind,
                "injected": injected,
                "survived": survived,
                "test": self.test,
                "why": why,
            }
            with Path(place).open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")

    def close(self) -> None:
        assert not self.lost, "\n".join(self.lost)


def sentence(ended: Ended, *codes: int) -> str:
    """The one sentence that a command that failed says; no traceback, no library's
    exception by name."""
    last = ended.err.rstrip("\n").splitlines()[-1] if ended.err.strip() else ""
    assert ended.status in (codes or (2,)), f"exit {ended.status}: {ended.err[-600:]}"
    assert "Traceback" not in ended.err.replace(LIBRARY, ""), ended.err[-1500:]
    assert last.startswith("veneer: error: ") and 20 < len(last) < 1500, last[:300]
    assert not re.match(r"veneer: error: \w*(Error|Exception|Warning): ", last), last[:300]
    return last
