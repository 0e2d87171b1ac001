"""Files that are whole or absent: atomic writes, hashes, and a lock on a folder in use."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from veneer.foundation.errors import InputError
from veneer.foundation.interrupts import HeldInterrupt
from veneer.foundation.locks import Busy, claimed, claims_on, exclusive, flocked, is_living
from veneer.foundation.reading.content import read_bytes
from veneer.foundation.reading.decode import decoded
from veneer.foundation.write_failures import write_failure

CHUNK = 1 << 20  # bytes written at a time


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call `write(temporary path)`, then rename the file to `path`. On any failure nothing is left
    behind; the remains of a killed process that wrote the same file are removed too.

    The temporary file gets a folder of its own beside `path`, because some libraries write their
    own temporary files next to ours. That folder is removed before the last rename, so that a kill
    leaves nothing beside a whole file. Raises VeneerError or InputError where the machine or the
    place refuses the write (write_failures.py).
    """
    make_folder(path.parent)
    with HeldInterrupt() as interrupt, _scratch(path) as scratch:
        temporary, alone = scratch / path.name, scratch.with_suffix(".whole.part")
        try:
            with interrupt.let_through():
                write(temporary)
            _set_rights(temporary)
            with temporary.open("r+b") as stream:  # NFS locks no file that is open to read alone
                os.fsync(stream.fileno())
                flocked(stream.fileno(), wait=True)  # as its folder is: it is no leftover
                temporary.replace(alone)
                shutil.rmtree(scratch)
                alone.replace(path)
        except Exception as error:
            _explain(error, path)
            raise
        finally:
            with contextlib.suppress(OSError):
                alone.unlink()


def make_folder(path: Path) -> None:
    """Make a folder and those above it. Raises the sentence of write_failures.py."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _explain(error, path)
        raise


def _explain(error: BaseException, place: Path) -> None:
    """Raise the sentence for an error of the system while `place` was written; return for others,
    a sentence among them."""
    if (failure := write_failure(error, place)) is not None:
        raise failure from error


def _set_rights(path: Path) -> None:
    """Give a file or folder the rights that the umask leaves: a library may make it private. Some
    file systems refuse to change rights, which loses nothing."""
    umask = os.umask(0)
    os.umask(umask)
    with contextlib.suppress(OSError):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)


@contextlib.contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`, with a lock on it that dies with this process. A
    folder without its lock belongs to a killed process and is removed."""
    prefix, suffix = f".{path.name}.", ".part"
    with contextlib.ExitStack() as stack:
        try:
            with os.scandir(path.parent) as entries:
                old = [
                    Path(e.path)
                    for e in entries
                    if e.name.startswith(prefix) and e.name.endswith(suffix)
                ]
            for leftover in old:
                # locked: its process is at work; gone: it has just ended
                with contextlib.suppress(OSError, Busy):
                    _remove_if_dead(leftover)
            scratch = _locked_scratch(path, prefix, suffix, stack)
        except OSError as error:
            _explain(error, path)
            raise
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


class ScratchFolder:
    """A temporary folder at `path`, with a lock on it that dies with this process: the next one of
    the same name removes what a killed process left. The folder goes with this object, or at the
    end of a `with` block, which takes `path`. within: a folder; None for the system's own."""

    def __init__(self, name: str, within: Path | None = None):
        stack = contextlib.ExitStack()
        self.path = stack.enter_context(_scratch((within or Path(tempfile.gettempdir())) / name))
        self._remove = weakref.finalize(self, stack.close)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self._remove()


def scratch_file(size: int) -> BinaryIO:
    """A temporary file of `size` bytes without a name, which the system removes when nothing reads
    it any more, also after a kill. Raises VeneerError where the disk has no room for it: a full
    disk would end a process that writes to a mapped file without an error (SIGBUS)."""
    place = Path(tempfile.gettempdir())
    try:
        with contextlib.ExitStack() as stack:
            stream: Any = stack.enter_context(tempfile.TemporaryFile(dir=place))
            if hasattr(os, "posix_fallocate"):  # not on macOS
                os.posix_fallocate(stream.fileno(), 0, max(1, size))
            else:
                for at in range(0, size, CHUNK):
                    stream.write(bytes(min(CHUNK, size - at)))
                stream.flush()
            stack.pop_all()  # it stays open
            return stream
    except OSError as error:
        _explain(error, place)
        raise


def _locked_scratch(path: Path, prefix: str, suffix: str, stack: contextlib.ExitStack) -> Path:
    while True:
        scratch = Path(tempfile.mkdtemp(prefix=prefix, suffix=suffix, dir=path.parent))
        try:
            handle = os.open(scratch, os.O_RDONLY)
        except FileNotFoundError:  # somebody who removes leftovers was quicker than the lock
            continue
        stack.callback(os.close, handle)
        if not flocked(handle, wait=True):
            stack.enter_context(claimed(_claim_of(scratch)))
        if scratch.exists():
            return scratch


def _claim_of(temporary: Path) -> Path:
    """What is claimed for a temporary folder, and for the file that leaves it."""
    return temporary.with_name(temporary.name.removesuffix(".part").removesuffix(".whole"))


def _remove_if_dead(leftover: Path) -> None:
    """Remove a temporary file or folder whose process has ended. Raises Busy or OSError where it
    has not. On a file system without locks only a claim can show it: what has none stays, unless
    it is an empty folder."""
    handle = os.open(leftover, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        locked, what = flocked(handle), _claim_of(leftover)
        owners = claims_on(what)
        if any(is_living(c) for c in owners):
            return
        if locked or owners:
            _remove(leftover)
            for claim in owners:
                claim.unlink(missing_ok=True)
        elif leftover.is_dir():
            leftover.rmdir()
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def is_leftover(path: Path, names: Iterable[str]) -> bool:
    """Return whether `path` is the remains of a killed process that wrote one of `names`."""
    return any(path.name.startswith(f".{name}.") and path.name.endswith(".part") for name in names)


def remove_leftovers(folder: Path, names: Iterable[str] | None = None) -> None:
    """Remove half-written files of a killed run from a folder whose lock this process holds: those
    of `names`, or all."""
    for leftover in [*folder.rglob(".*.part")]:
        if names is None or is_leftover(leftover, names):
            _remove(leftover)
    for claim in folder.rglob(".lock-*"):
        if not is_living(claim):
            claim.unlink(missing_ok=True)


def write_folder(out: Path, write: Callable[[Path], None]) -> None:
    """Call `write(temporary folder)` beside `out`, then rename it to `out`, which is absent or
    an empty folder.

    On any failure nothing is left behind; raises VeneerError where the folder could not be written.
    """
    make_folder(out.parent)
    with HeldInterrupt() as interrupt, _scratch(out) as scratch:
        try:
            with interrupt.let_through():
                write(scratch)
            for path in (scratch, *scratch.rglob("*")):
                _set_rights(path)
            if out.exists():
                out.rmdir()
            scratch.replace(out)
        except Exception as error:
            _explain(error, out)
            raise


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
        return json.loads(read_bytes(path, what).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is not valid JSON ({_why(error)}); expected {what}; make it again"
        ) from None


def _why(error: BaseException) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def json_lines(rows: Iterable[Any]) -> str:
    """Return rows as JSON lines, with readable text instead of escapes. Raises ValueError for
    NaN."""
    return "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)


def read_json_lines(path: Path, what: str, *, replace: bool = False) -> Iterator[tuple[int, Any]]:
    """Yield (line number, value) of each line.

    Lines end at a line feed alone, not at the other characters that str.splitlines splits at and
    that model output may hold. `veneer.foundation.reading` handles compression and encoding.
    replace: bytes that are not UTF-8 become the replacement character. Raises InputError naming the
    line that is not JSON, or not UTF-8.
    """
    data = read_bytes(path, what)
    text = data.decode("utf-8-sig", "replace") if replace else decoded(data, path)
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{path} line {number} is not valid JSON ({_why(error)}); expected {what}"
            ) from None
        yield number, value


def file_name(text: str) -> str:
    """Return `text` as a part of a file name: unchanged where it has letters, digits, dots and
    dashes only, otherwise (a hub id, ../x) without what would lead elsewhere, and with a hash that
    distinguishes it."""
    if re.fullmatch(r"[A-Za-z0-9_@>~+-][A-Za-z0-9._@>~+-]{0,99}", text):
        return text
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '_', text)[:60]}-{sha256_text(text)[:8]}"


def sha256_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_input(path: Path, expected: str) -> str:
    """The hash of a file that a person named. expected: what it should hold, such as "a file of
    stored answers". Raises InputError where there is no such file."""
    if not path.is_file():
        missing = "is no file" if path.exists() else "does not exist"
        raise InputError(f"{path} {missing}; expected {expected}")
    return sha256_file(path)


def sha256_text(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on a folder; a second process gets an InputError at once. The lock
    dies with its process.

    After bad input the lock file is removed, and so is a folder that was created for it and is
    otherwise empty.
    """
    try:
        new, locked_before = not folder.exists(), (folder / ".lock").exists()
    except OSError as error:
        _explain(error, folder)
        raise
    make_folder(folder)
    refused = False
    try:
        with _locked(folder / ".lock", folder):
            try:
                yield
            except InputError:
                refused = True
                if not locked_before:
                    (folder / ".lock").unlink(missing_ok=True)
                raise
    finally:
        if refused and new:
            with contextlib.suppress(OSError):  # it holds something
                folder.rmdir()


def look_at_folder(folder: Path) -> None:
    """Raise what `folder_lock` would raise, without writing: somebody is working in the folder, or
    it cannot be written."""
    if (folder / ".lock").is_file():
        with _locked(folder / ".lock", folder):
            pass
    place = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not place.is_dir():
        number = errno.EEXIST if place == folder else errno.ENOTDIR
    elif not os.access(place, os.W_OK | os.X_OK):
        number = errno.EACCES
    else:
        return
    error = OSError(number, os.strerror(number), str(folder))
    _explain(error, folder)
    raise error


@contextlib.contextmanager
def _locked(path: Path, what: Path) -> Iterator[None]:
    """Return the lock file, open and locked. A file that another process removed meanwhile locks
    nothing and is opened again."""
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            _explain(error, path)
            raise
        with os.fdopen(handle, "a") as stream, contextlib.ExitStack() as stack:
            try:
                stack.enter_context(exclusive(stream.fileno(), path))
            except Busy as busy:
                raise InputError(
                    f"another veneer command is working in {what}; wait until it ends or give "
                    f"another --out{busy.mend}"
                ) from None
            except OSError as error:
                _explain(error, path)
                raise
            if not _same(stream.fileno(), path):
                continue
            yield
            return


def _same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False
