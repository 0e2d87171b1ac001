"""How much memory there is, and what to do where it runs out: halve the batch, down to one item."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from veneer.foundation.errors import VeneerError

Item = TypeVar("Item")
Result = TypeVar("Result")


def memory_size(system: Path = Path("/sys")) -> int | None:
    """Bytes of this machine's memory, and no more than a container may use; None where neither is
    told."""
    known = []
    if hasattr(os, "sysconf") and {"SC_PAGE_SIZE", "SC_PHYS_PAGES"} <= os.sysconf_names.keys():
        known.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):  # cgroups, version 2 and 1
        with contextlib.suppress(OSError, ValueError):  # no such file, or no limit ("max")
            known.append(int((system / "fs/cgroup" / limit).read_text(encoding="ascii")))
    return min(known, default=None)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a device or on the host."""
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or "not enough memory" in str(error)  # Windows
        or "can't allocate memory" in str(error)  # Linux, torch's own allocator
        or "out of memory" in str(error)
    )


def halving(
    run: Callable[[Sequence[Item]], Result], items: Sequence[Item], *, message: str
) -> list[Result]:
    """The results of `run` over `items`, in order: one result, or one of each part into which the
    batch had to be cut for lack of memory.

    Raises VeneerError with `message` where memory runs out for a single item.
    """
    try:
        return [run(items)]
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not is_out_of_memory(error):
            raise
        if len(items) == 1:
            raise VeneerError(message) from error
    # Outside the except block: the error's traceback holds the tensors of the failed attempt.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    half = len(items) // 2
    first = halving(run, items[:half], message=message)
    return first + halving(run, items[half:], message=message)
