"""Temporary folders for large files, which must not outlive a process that is killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

LOCK = ".lock"


class ScratchFolder(tempfile.TemporaryDirectory):
    """A temporary folder that goes with this object. What a killed process has left (kill -9 lets
    it remove nothing) goes when the next folder for the same `use` is made.

    A process holds a lock in its folder, which the kernel ends with the process. On a file system
    without locks nothing is removed.
    """

    def __init__(self, use: str):
        """use: what the folder holds, as a part of its name."""
        prefix = f"veneer-{use}-"
        _remove_orphans(prefix)
        super().__init__(prefix=prefix, ignore_cleanup_errors=True)
        new = Path(self.name) / f"{LOCK}-new"
        self._handle = new.open("wb")
        with contextlib.suppress(OSError):
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            new.rename(new.with_name(LOCK))  # nobody sees it before it is locked

    @property
    def path(self) -> Path:
        return Path(self.name)

    def cleanup(self) -> None:
        super().cleanup()
        self._handle.close()


def _remove_orphans(prefix: str) -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        # another user's, or one that goes at this moment
        with contextlib.suppress(OSError), (folder / LOCK).open("rb") as lock:
            if os.fstat(lock.fileno()).st_uid == os.getuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
