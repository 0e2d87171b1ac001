"""Files that are whole or absent: atomic writes, hashes, and a lock on a folder in use."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from veneer.errors import InputError, VeneerError


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call `write(temporary path)` in the same folder, then rename over `path`; on any failure nothing is left behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes it private
        temporary.replace(path)
    except Exception as error:
        if is_disk_full(error):
            raise VeneerError(
                f"the disk that holds {path.parent} is full; what was finished before is intact: free some space and run "
                "the same command again, it goes on where it was"
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_folder(out: Path, write: Callable[[Path], None]) -> None:
    """Call `write(temporary folder)` beside `out`, then rename it to `out`, which is absent or an empty folder.

    On any failure nothing is left behind; raises VeneerError where the folder could not be written.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
    try:
        write(scratch)
        scratch.chmod(0o755)
        if out.exists():
            out.rmdir()
        scratch.replace(out)
    except OSError as error:
        raise VeneerError(
            f"{out} could not be written ({error}); nothing was left behind: free some space or give another --out"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def is_disk_full(error: BaseException) -> bool:
    """safetensors says it in a message of its own, not as an OSError."""
    return getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in str(error)


def write_bytes(path: Path, data: bytes) -> None:
    write_atomically(path, lambda p: _write_all(p, data))


def _write_all(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode("utf-8", errors="replace"))


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, sort_keys=False) + "\n")


def read_json(path: Path, what: str) -> Any:
    """Read a JSON file. Raises InputError naming `what` it should be."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; expected {what}") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid JSON ({error}); expected {what}; make it again") from None


def json_lines(rows: Iterable[Any]) -> str:
    """JSON lines, readable text and not escapes; NaN is refused."""
    return "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)


def read_json_lines(path: Path, what: str) -> Iterator[tuple[int, Any]]:
    """(line number, value) of each line; lines end at a line feed alone, not at the other signs that str.splitlines knows and that
    model output may hold. Raises InputError naming the line that is not JSON."""
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; expected {what}") from None
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except ValueError as error:
            raise InputError(f"{path} line {number} is not valid JSON ({error}); expected {what}") from None


def sha256_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_text(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on a folder; a second process gets an InputError at once. The lock dies with its process.

    Where the input was bad, the lock's file goes again, and so does a folder that was made for it and got nothing else.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; expected a new or an empty folder: give another --out")
    new, locked_before = not folder.exists(), (folder / ".lock").exists()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"another veneer command is working in {folder}; wait until it ends or give another --out") from None
        try:
            yield
        except InputError:
            if not locked_before:
                (folder / ".lock").unlink()
            if new and not any(folder.iterdir()):
                folder.rmdir()
            raise
