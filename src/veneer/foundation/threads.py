"""How many threads compute, and how they wait for each other.

The number is fixed before torch is imported, once for a process: bytes of results are equal only at
an equal number of threads (products of a few rows differ in their last digit), so it does not
change within a run, and a resumed run takes that of its first part.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from collections.abc import Collection, MutableMapping
from pathlib import Path

from veneer.foundation.errors import InputError

AUTO = "auto"
NUMBERS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
# what else tells OpenMP how to wait: where a person sets one of them, none is changed
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
LOOK = 0.2  # seconds in which the idle time of the cores is read

_is_auto = False


def wait_passively(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let threads sleep while they wait for each other, instead of using a core. Has to be called
    before torch is imported. With busy cores the others need the time that waiting takes
    (docs/performance.md, Threads)."""
    if not any(name in environment for name in WAITING):
        environment["OMP_WAIT_POLICY"] = "passive"
        environment["KMP_BLOCKTIME"] = "0"


def use_threads(wanted: str) -> None:
    """Compute with this number of threads from now on; "auto" takes as many as there are free cores
    now, or what OMP_NUM_THREADS and MKL_NUM_THREADS say. Raises InputError for another word."""
    global _is_auto
    _is_auto = wanted == AUTO
    if not _is_auto:
        _set(_number(wanted))
    elif not any(os.environ.get(name) for name in NUMBERS) and "torch" not in sys.modules:
        _set(chosen(physical_cores(), free_cores()))


def keep_threads(recorded: object) -> None:
    """Go on with the number of threads of a run's first part where the number is automatic. Warns
    where a person gave another one."""
    import torch

    if not isinstance(recorded, int) or recorded < 1 or recorded == torch.get_num_threads():
        return
    if _is_auto and not any(os.environ.get(name) for name in NUMBERS if name not in _own):
        torch.set_num_threads(recorded)
        return
    logging.getLogger("veneer").warning(
        "veneer: the first part of this run was computed with %d threads, the rest with %d; last "
        "digits of its numbers may differ from those of a run with one number of threads",
        recorded,
        torch.get_num_threads(),
    )


def chosen(cores: int, free: float) -> int:
    """Threads for so many cores, of which so many are free: each free core one, and at least 1."""
    return max(1, min(cores, math.floor(free + 0.5)))


def physical_cores(system: Path = Path("/sys")) -> int:
    """Cores that this process may use, those that share an execution unit counted once, and no
    more than a container's quota."""
    allowed = _allowed()
    siblings = set()
    for cpu in allowed:
        path = system / f"devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        try:
            siblings.add(path.read_text(encoding="ascii").strip())
        except OSError:
            siblings.add(str(cpu))
    cores = max(1, len(siblings))
    try:
        quota, period = (system / "fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return min(cores, max(1, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or no limit ("max")
        return cores


def free_cores(processes: Path = Path("/proc"), look: float = LOOK) -> float:
    """Cores that nothing else uses now, at most those that this process may use. Where the system
    does not tell (no /proc), its load of the last minute is subtracted."""
    allowed = _allowed()
    before = idle_time(processes / "stat", allowed)
    if before is None:
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        return max(0.0, len(allowed) - load)
    time.sleep(look)
    after = idle_time(processes / "stat", allowed)
    if after is None or (total := after[1] - before[1]) <= 0:
        return float(len(allowed))
    share = min(1.0, max(0.0, (after[0] - before[0]) / total))
    return share * physical_cores()


def idle_time(stat: Path, cpus: Collection[int]) -> tuple[int, int] | None:
    """(idle, all) ticks of these processors since the system started; None where it is unknown."""
    idle = total = 0
    try:
        lines = stat.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        name, *rest = line.split()
        number = name.removeprefix("cpu")
        if number.isdigit() and int(number) in cpus:
            ticks = [int(x) for x in rest[:8]]  # user nice system idle iowait irq softirq steal
            idle, total = idle + ticks[3] + ticks[4], total + sum(ticks)
    return (idle, total) if total else None


_own: set[str] = set()  # variables that this module set


def _set(number: int) -> None:
    """For libraries that are still to be loaded, and for torch where it is loaded already."""
    for name in NUMBERS:
        os.environ[name] = str(number)
        _own.add(name)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(number)


def _number(wanted: str) -> int:
    if wanted.isascii() and wanted.isdigit() and int(wanted) >= 1:
        return int(wanted)
    raise InputError(f"--threads is {wanted!r}; expected {AUTO}, or a number of 1 or more")


def _allowed() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))
