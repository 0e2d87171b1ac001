"""Exclusive locks that die with their process, also on file systems that have none.

The kernel's `flock` is used where it works. Where it does not (some Lustre and NFS mounts: ENOSYS,
ENOLCK, EOPNOTSUPP), a claim stands for it: an empty file whose name tells host and process. A
contender makes its own claim first and then looks for others, so that of two at least one sees the
other. A claim of a process that has ended on this machine is removed; one of another machine can
only be removed by a person.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import itertools
import os
import random
import re
import socket
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

TRIES = 4  # of a contender that does not wait: two that start at once would refuse each other
PAUSE = 0.15  # seconds between two tries, at most
_HELD = (errno.EWOULDBLOCK, errno.EAGAIN)
_CLAIM = re.compile(
    r"\.lock-(?P<what>[0-9a-f]{8})\.(?P<host>.+)\.(?P<place>[0-9a-f]{8})\.(?P<process>\d+)"
    r"\.(?P<start>\d+)\.\d+"
)
_numbers = itertools.count()


class Busy(Exception):
    """Somebody else holds the lock. mend: what to add to an error's sentence where the holder is
    known by a claim; otherwise empty."""

    def __init__(self, mend: str = ""):
        super().__init__(mend)
        self.mend = mend


def flocked(handle: int, *, wait: bool = False) -> bool:
    """Lock an open file. Returns False where its file system has no locks; raises Busy where
    somebody else holds it and `wait` is False."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno in _HELD:
            raise Busy from None
        return False
    return True


@contextlib.contextmanager
def exclusive(handle: int, path: Path, *, patience: float | None = None) -> Iterator[None]:
    """Hold an exclusive lock on the open file `handle` at `path`.

    patience: seconds to wait for another holder; None refuses at once. Raises Busy. The kernel's
    lock ends when the file is closed, a claim at the end of the block.
    """
    if flocked(handle, wait=patience is not None):
        if patience is None and (others := claims(path)):
            raise Busy(_mend(others[0]))
        yield
        return
    with claimed(path, patience=patience):
        yield


@contextlib.contextmanager
def claimed(path: Path, *, patience: float | None = None) -> Iterator[None]:
    """Hold a claim on `path` instead of a lock of the kernel's; raises Busy."""
    end, tries = time.monotonic() + (patience or 0.0), 0
    while True:
        own = _claim(path)
        try:
            others = [c for c in claims(path) if c != own]
            if not others:
                yield
                return
        finally:
            own.unlink(missing_ok=True)
        tries += 1
        if tries >= TRIES and time.monotonic() >= end:
            raise Busy(_mend(others[0]))
        time.sleep(random.uniform(PAUSE / 3, PAUSE))


def claims(path: Path) -> list[Path]:
    """The claims of living processes on `path`; those of dead ones are removed."""
    living = []
    for claim in claims_on(path):
        if is_living(claim):
            living.append(claim)
        else:
            with contextlib.suppress(OSError):  # it is in nobody's way
                claim.unlink()
    return living


def claims_on(path: Path) -> list[Path]:
    """All claims on `path`, also those of dead processes."""
    beginning = f".lock-{_key(path)}."
    with os.scandir(path.parent) as entries:
        names = [e.name for e in entries if e.name.startswith(beginning)]
    return sorted(path.parent / name for name in names if _CLAIM.fullmatch(name))


def is_living(claim: Path) -> bool:
    """Whether the process of a claim may still run: one of another machine counts as running."""
    parts = _CLAIM.fullmatch(claim.name)
    if parts is None or parts["place"] != _place():
        return True
    started = _started(int(parts["process"]))
    return started is not None and started == int(parts["start"])


def _claim(path: Path) -> Path:
    """Make a new claim of this process."""
    host = re.sub(r"[^A-Za-z0-9-]+", "_", socket.gethostname())[:40] or "host"
    start = _started(os.getpid()) or 0
    own = path.parent / (
        f".lock-{_key(path)}.{host}.{_place()}.{os.getpid()}.{start}.{next(_numbers)}"
    )
    os.close(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666))
    return own


def _key(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]


@lru_cache(maxsize=1)
def _place() -> str:
    """Where a process number means a process: this machine since its last start, and the container
    in it."""
    facts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        facts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
    with contextlib.suppress(OSError):
        facts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:8]


def _started(process: int) -> int | None:
    """When a process began, in the kernel's ticks (0 where the machine does not tell); None where
    it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, IndexError, ValueError):
        pass
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return None
    except OSError:  # it belongs to somebody else
        pass
    return 0


def _mend(claim: Path) -> str:
    parts = _CLAIM.fullmatch(claim.name)
    assert parts is not None
    return (
        f"; it is process {parts['process']} on {parts['host']}: if that has ended, delete {claim} "
        "(this file system has no locks that would end by themselves)"
    )
