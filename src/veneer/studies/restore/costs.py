"""What making and choosing a restoration takes: seconds, and the most memory that
the process held."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from veneer.foundation.results import Measurement
from veneer.foundation.run_record import RunRecord

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")
STAGES = {
    "make": "capture and extraction",
    "choose": "the sweep on the validation part",
    "answer": "answers to the report part, KL and plain text",
}


@contextlib.contextmanager
def spent(record: RunRecord, way: str, stage: str) -> Iterator[None]:
    """Add a stage's seconds to run.json under "costs", and keep the highest resident memory seen
    (MiB, Linux only); a run that is cut and goes on adds to them."""
    before = peak_mib() if _reset() else None
    resting = resident_mib()
    started = time.perf_counter()
    try:
        yield
    finally:
        costs: dict[str, Any] = (
            record.found.setdefault("costs", {}).setdefault(way, {}).setdefault(stage, {})
        )
        costs["seconds"] = round(costs.get("seconds", 0.0) + time.perf_counter() - started, 3)
        peak = peak_mib()
        if before is not None and peak is not None:
            costs["peak_mib"] = round(max(costs.get("peak_mib", 0.0), peak), 1)
            costs["resident_before_mib"] = round(
                costs.get("resident_before_mib", resting or 0.0), 1
            )
        with contextlib.suppress(OSError):
            record.note()


def cost_rows(record: RunRecord, tasks: str, n: int) -> Iterator[Measurement]:
    """Rows seconds and peak_memory of each way and stage; n: prompts behind them. One run on one
    machine: no interval."""
    for way, stages in record.found.get("costs", {}).items():
        for stage, costs in stages.items():
            words: dict[str, Any] = {"of": stage, "split": "cost"}
            note = f"{STAGES.get(stage, stage)}; one run on this machine, no interval"
            yield Measurement(
                "restore", tasks, "seconds", way, costs["seconds"], n, unit="s", note=note, **words
            )
            if "peak_mib" in costs:
                note = (
                    "highest resident memory of the process, all models that the study holds "
                    f"included; {costs['resident_before_mib']:g} MiB before"
                )
                yield Measurement(
                    "restore",
                    tasks,
                    "peak_memory",
                    way,
                    costs["peak_mib"],
                    n,
                    unit="MiB",
                    note=note,
                    **words,
                )


def peak_mib() -> float | None:
    """The highest resident memory since the last reset, or None where the system does not say."""
    return _status("VmHWM:")


def resident_mib() -> float | None:
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
