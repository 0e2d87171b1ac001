"""What stopped a write, in one sentence: a full disk, a quota, a limit on the size of a file, a
folder that may only be read, a disk that fails."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from veneer.foundation.errors import InputError, VeneerError

RESUME = "run the same command again to resume"
# what happened to {place} and the mend; a limit of the machine or of its owner: exit 1
MACHINE = {
    errno.ENOSPC: "the disk that holds {place} is full; finished files are intact: free some space "
    f"and {RESUME}",
    errno.EDQUOT: "the disk quota for {place} is used up; finished files are intact: free some "
    f"space, or ask for more, and {RESUME}",
    errno.EFBIG: "{place} would become larger than this shell or file system allows; "
    f"finished files are intact: raise the limit (ulimit -f) or give another --out, and {RESUME}",
    errno.EMFILE: "this process may open no more files; finished files are intact: raise the limit "
    f"(ulimit -n) and {RESUME}",
    errno.ENFILE: "this machine can open no more files; finished files are intact: end other "
    f"programs and {RESUME}",
    errno.ENOENT: "{place} does not exist or was removed meanwhile; expected a folder that stays "
    f"while a command runs: {RESUME}",
    **dict.fromkeys(
        (
            errno.EIO,
            errno.ESTALE,
            errno.ENXIO,
            errno.ENODEV,
            errno.ENOTCONN,
            errno.ECONNRESET,
            errno.EHOSTDOWN,
            errno.EHOSTUNREACH,
            errno.ETIMEDOUT,
            getattr(errno, "EREMOTEIO", errno.EIO),
            getattr(errno, "ESHUTDOWN", errno.EIO),
        ),
        "the disk that holds {place} fails ({why}); finished files are intact: check the disk or "
        f"its mount, and {RESUME}",
    ),
}
# what is wrong with {place} as a place to write to: exit 2
PLACE = {
    errno.EROFS: "{place} lies on a file system that is mounted read-only; expected a folder to "
    "write to: give another --out",
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM),
        "{place} may not be written ({why}); expected a folder to write to: give another --out, or "
        "change its rights",
    ),
    errno.ENAMETOOLONG: "the name {place} is longer than its file system allows; give a shorter "
    "--out",
    errno.ENOTDIR: "a part of {place} is a file; expected a folder: give another --out",
    errno.EISDIR: "{place} is a folder; expected the name of a file: give another --out",
    errno.EEXIST: "{place} is a file; expected a new or an empty folder: give another --out",
    errno.ENOTEMPTY: "{place} is not empty; expected a new or an empty folder: give another --out",
    errno.ELOOP: "{place} is a link, or links that lead in a circle; expected a file or folder of "
    "its own: give another --out",
    errno.EINVAL: "{place} has a name that its file system refuses; give another --out",
    errno.ETXTBSY: "{place} is a program that runs; give another --out",
}
# in the messages of libraries (safetensors, PyArrow) that raise no OSError
_NUMBER = re.compile(r"os error (\d+)|code: (\d+), kind|\[[Ee]rrno (\d+)\]")
LONGEST = 300  # characters of a path in a sentence


def error_number(error: BaseException) -> int | None:
    """The system's number of an error, read from a library's message if only that holds it; None
    without a number."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if "No space left on device" in str(error):
        return errno.ENOSPC
    match = None if isinstance(error, OSError) else _NUMBER.search(str(error))
    return int(next(g for g in match.groups() if g)) if match else None


def write_failure(error: BaseException, place: Path | str) -> VeneerError | None:
    """The error to raise where a write to `place` failed: VeneerError where the machine is at
    fault, InputError where the place is, and None where `error` is not of the system's kind."""
    number = error_number(error)
    if number is None:
        return None
    name = getattr(error, "filename", None)
    if name and not Path(os.fsdecode(name)).is_relative_to(Path(place).parent):
        return VeneerError(
            f"{_short(os.fsdecode(name))} cannot be used ({os.strerror(number)}) while "
            f"{_short(place)} is written; finished files are intact: mend that and {RESUME}"
        )
    shown, why = _short(place), os.strerror(number)
    if number in PLACE:
        return InputError(PLACE[number].format(place=shown, why=why))
    sentence = MACHINE.get(number)
    if sentence is None:
        if not isinstance(error, OSError):
            return None
        sentence = (
            "{place} could not be written ({why}); finished files are intact: give another --out, "
            f"or mend that and {RESUME}"
        )
    return VeneerError(sentence.format(place=shown, why=why))


def machine_failure(error: BaseException) -> VeneerError | None:
    """The sentence for an error of the system that nothing closer to its cause has explained:
    InputError where a name or its rights are at fault; None for other errors and for
    connections."""
    number = error_number(error)
    if number is None or isinstance(error, ConnectionError):
        return None
    name = getattr(error, "filename", None)
    if name is None and number in MACHINE and number != errno.ENOENT:
        return write_failure(error, "the output")
    if name is None:
        return None
    what = f"{_short(os.fsdecode(name))} cannot be read or written ({os.strerror(number)})"
    if number in PLACE:
        return InputError(f"{what}; expected a name and rights that allow it: give another")
    return VeneerError(f"{what}; finished files are intact: mend that and {RESUME}")


def _short(place: Path | str) -> str:
    text = str(place)
    half = LONGEST // 2
    return text if len(text) <= LONGEST else f"{text[:half]}...{text[-half:]}"
