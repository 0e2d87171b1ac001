"""The bytes of a file: regular files only, decompressed by their first bytes, and never more than a
bound."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from veneer.foundation.errors import InputError
from veneer.foundation.reading.zstd import ZstdError, open_zstd

LARGEST = 4 * 2**30  # bytes of a file that is read whole, after decompression
PIECE = 2**22  # bytes of one read
COMPRESSIONS: tuple[tuple[bytes, str, Callable[[Any], Any]], ...] = (
    (b"\x1f\x8b", ".gz", gzip.open),
    (b"BZh", ".bz2", bz2.open),
    (b"\xfd7zXZ\x00", ".xz", lzma.open),
    (b"\x28\xb5\x2f\xfd", ".zst", open_zstd),
)
_TOO_LARGE = (
    f"{{path}} holds more than {LARGEST >> 30} GiB; expected a smaller file: split it, or write "
    "JSON lines"
)
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, ZstdError)


def check_regular(path: Path, expected: str) -> None:
    """Raise InputError where `path` is missing, a folder, or a pipe or device, which could block or
    give bytes for ever."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; expected {expected}{_below(path)}") from None
    except (OSError, ValueError) as error:  # ValueError: a name that holds a zero byte
        raise InputError(
            f"{path} cannot be read ({getattr(error, 'strerror', None) or error}); "
            f"expected {expected}"
        ) from None
    _check_mode(path, mode, expected)


def _below(path: Path) -> str:
    """The folder that was meant, where one within the given folder has a file of this name: a
    run's `veneer` in place of the run. The shortest name, as `veneer` before `veneer-svamp`."""
    inner = sorted(path.parent.glob(f"*/{path.name}"), key=lambda p: (len(p.parent.name), p))
    return f": did you mean {inner[0].parent}?" if inner else ""


def _check_mode(path: Path, mode: int, expected: str) -> None:
    if stat.S_ISDIR(mode):
        raise InputError(f"{path} is a folder; expected {expected}")
    if not stat.S_ISREG(mode):
        kind = "a pipe" if stat.S_ISFIFO(mode) else "a device or a socket"
        raise InputError(
            f"{path} is {kind} and no file; expected {expected}: write it to a file first, and "
            "give that file"
        )


@contextlib.contextmanager
def opened(path: Path, expected: str, *, bounded: bool = False) -> Iterator[IO[bytes]]:
    """Yield a file's bytes as a stream, decompressed. bounded: refuse a file larger than LARGEST.

    Raises InputError as `check_regular` does and, also while the stream is read, for a file that
    cannot be read or whose compression is damaged or cut.
    """
    check_regular(path, expected)
    try:
        # files of the kernel (/proc/kmsg) look regular and would block; a file may have become
        # a pipe since the check
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as raw:
            status = os.fstat(handle)
            _check_mode(path, status.st_mode, expected)
            if status.st_size > LARGEST and bounded:
                raise InputError(_TOO_LARGE.format(path=path))
            head = raw.read(8)
            raw.seek(0)
            decompress = next(
                (make for magic, _, make in COMPRESSIONS if head.startswith(magic)), None
            )
            with contextlib.ExitStack() as stack:
                yield (
                    raw
                    if decompress is None
                    else stack.enter_context(cast("IO[bytes]", decompress(raw)))
                )
    except DAMAGED as error:
        raise InputError(
            f"{path} is damaged or cut ({error}): its compression does not end as it should; "
            "copy it again"
        ) from None
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror or error}); expected {expected}"
        ) from None


def read_whole(stream: IO[bytes], path: Path, before: bytes = b"") -> bytes:
    """Return the rest of a stream, behind `before`. Raises InputError where it is more than
    LARGEST."""
    pieces, size = [before], len(before)
    while piece := stream.read(PIECE):  # a read of the whole bound would ask for its memory first
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST:
            raise InputError(_TOO_LARGE.format(path=path))
    return b"".join(pieces)


def read_bytes(path: Path, expected: str) -> bytes:
    """Return all bytes of a file, decompressed."""
    with opened(path, expected, bounded=True) as stream:
        return read_whole(stream, path)


def ending(path: Path) -> str:
    """Return the ending of a file's name in lower case, without that of its compression: ".csv" of
    "a.CSV.gz"."""
    return _plain_name(path).suffix.lower()


def stem(path: Path) -> str:
    """Return a file's name without its ending and that of its compression: "a" of "a.CSV.gz"."""
    return _plain_name(path).stem


def _plain_name(path: Path) -> Path:
    name, compressed = Path(path.name), (*(end for _, end, _ in COMPRESSIONS), ".bgz", ".lzma")
    while name.suffix.lower() in compressed:
        name = Path(name.stem)
    return name
