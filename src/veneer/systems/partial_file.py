"""A partial answers file: one line per finished batch, locked by one process, resumed by the
next."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.files import make_folder
from veneer.foundation.locks import Busy, exclusive
from veneer.foundation.write_failures import write_failure
from veneer.systems.responses import Response
from veneer.systems.stamp import Stamp


class PartialFile:
    """path: of the file. stamp: what decides the answers, the first line. batches: the numbers of
    the answers in each batch. day: the date that a chat template writes, kept in the first line so
    that the next process writes the same.

    `done` holds the answers of complete batches. Raises InputError where another process holds the
    file, or where it is of other settings, of a model that has changed since, or another kind of
    file: it is then left unchanged.
    """

    def __init__(
        self, path: Path, stamp: Stamp, batches: Sequence[Sequence[int]], *, day: str | None = None
    ):
        self.path, self._stamp, self._header = path, stamp, _header(stamp, day)
        make_folder(path.parent)
        self._held = contextlib.ExitStack()
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            if (failure := write_failure(error, path)) is not None:
                raise failure from None
            raise
        try:
            self._lock()
            self.done = self._resume(batches)
        except BaseException:
            self.close(remove=False)
            raise

    def append(self, number: int, fresh: Mapping[int, Response]) -> None:
        """Append one batch as one line; an incomplete line counts as an unanswered batch."""
        row = {"batch": number, "responses": {i: json.loads(r.line()) for i, r in fresh.items()}}
        self._write(json.dumps(row, ensure_ascii=False).encode("utf-8", errors="replace") + b"\n")
        self.done.update(fresh)

    def close(self, *, remove: bool) -> None:
        if remove:
            self.path.unlink(missing_ok=True)
        os.close(self._handle)
        self._held.close()

    def _lock(self) -> None:
        try:
            self._held.enter_context(exclusive(self._handle, self.path))
        except Busy as busy:
            raise InputError(
                f"another veneer command is writing {self.path.with_suffix('')}; wait until it "
                f"ends or give another --out{busy.mend}"
            ) from None

    def _write(self, data: bytes) -> None:
        try:
            with os.fdopen(os.dup(self._handle), "wb") as stream:
                stream.seek(0, os.SEEK_END)
                stream.write(data)
        except OSError as error:
            if (failure := write_failure(error, self.path)) is not None:
                raise failure from error
            raise

    def _resume(self, batches: Sequence[Sequence[int]]) -> dict[int, Response]:
        with os.fdopen(os.dup(self._handle), "rb") as stream:
            stream.seek(0)
            text = stream.read()
        if self._header.startswith(text):  # new, or a first line that was cut
            os.ftruncate(self._handle, 0)
            self._write(self._header)
            return {}
        first, end, _ = text.partition(b"\n")
        recorded = _record(first)
        if not self._stamp.fits(recorded) or not end:
            what = (
                "of a run with other settings"
                if first.startswith(b'{"settings"')
                else "no file of unfinished answers"
            )
            raise InputError(f"{self.path} is {what}; delete it, or give another --out")
        self._stamp.check_models(self.path, recorded)
        answers: dict[int, Response] = {}
        whole = len(first) + 1
        for line in text[whole:].split(b"\n")[
            :-1
        ]:  # the text after the last line feed is incomplete
            try:
                answers |= _answers(json.loads(line))
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                break  # damaged: from here on it is answered again
            whole += len(line) + 1
        os.ftruncate(self._handle, whole)
        complete = {i for batch in batches if all(i in answers for i in batch) for i in batch}
        return {i: r for i, r in answers.items() if i in complete}


def discard(path: Path, stamp: Stamp) -> None:
    """Remove the part of a file that is whole now; any other file stays."""
    if path.is_file() and stamp.fits(_record(path.read_bytes().partition(b"\n")[0])):
        path.unlink(missing_ok=True)


def _header(stamp: Stamp, day: str | None) -> bytes:
    return json.dumps({**stamp.facts(), **({} if day is None else {"day": day})}).encode() + b"\n"


def _record(line: bytes) -> dict[str, Any]:
    """A first line; empty where it is none."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _answers(row: dict[str, Any]) -> dict[int, Response]:
    return {
        int(i): Response(**{**fields, "token_ids": tuple(fields["token_ids"])})
        for i, fields in row["responses"].items()
    }
