"""The cost of a method: seconds of each stage, and the highest resident memory of the process."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from veneer.foundation.results import Measurement
from veneer.studies.restore import words
from veneer.studies.study import Run

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")


@contextlib.contextmanager
def spent(run: Run, method: str, stage: str) -> Iterator[None]:
    """Add a stage's seconds to run.json under "costs", and keep its highest resident memory (MiB,
    Linux only). A resumed run adds to the figures of the interrupted one."""
    before = peak_mib() if _reset() else None
    resting = resident_mib()
    started = time.perf_counter()
    try:
        yield
    finally:
        methods: dict[str, Any] = run.noted("costs") or {}
        costs = methods.setdefault(method, {}).setdefault(stage, {})
        costs["seconds"] = round(costs.get("seconds", 0.0) + time.perf_counter() - started, 3)
        peak = peak_mib()
        if before is not None and peak is not None:
            costs["peak_mib"] = round(max(costs.get("peak_mib", 0.0), peak), 1)
            costs["resident_before_mib"] = round(
                costs.get("resident_before_mib", resting or 0.0), 1
            )
        with contextlib.suppress(OSError):
            run.note(costs=methods)


def cost_rows(run: Run, tasks: str, n: int) -> Iterator[Measurement]:
    """Rows seconds and peak_memory of each method and stage, without an interval: it is one run on
    one machine. n: number of prompts behind them."""
    for method, stages in (run.noted("costs") or {}).items():
        for stage, costs in stages.items():
            row: dict[str, Any] = {"system": method, "of": stage, "split": "cost", "n": n}
            note = words.seconds_note(stage)
            yield Measurement(
                "restore", tasks, "seconds", value=costs["seconds"], unit="s", note=note, **row
            )
            if "peak_mib" in costs:
                before = costs["resident_before_mib"]
                yield Measurement(
                    "restore",
                    tasks,
                    "peak_memory",
                    value=costs["peak_mib"],
                    unit="MiB",
                    note=words.memory_note(before),
                    facts={"before_mib": before},
                    **row,
                )


def peak_mib() -> float | None:
    """The highest resident memory since the last reset, MiB; None where the system does not say."""
    return _status("VmHWM:")


def resident_mib() -> float | None:
    """The present resident memory, MiB, or None."""
    return _status("VmRSS:")


def _status(key: str) -> float | None:
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((int(x.split()[1]) / 1024 for x in lines if x.startswith(key)), None)


def _reset() -> bool:
    """Set the highest resident memory back to the present one (Linux: proc_pid_clear_refs(5))."""
    try:
        RESET.write_text("5")
    except OSError:
        return False
    return True
