"""A file of replies, one line per reply. A line is appended whole, so that a kill loses at most the
line under way."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

from veneer.endpoint.finish import WORD, ending_of
from veneer.foundation.errors import InputError, VeneerError
from veneer.foundation.locks import Busy, exclusive
from veneer.foundation.write_failures import write_failure

KIND = "veneer-replies-v1"
NOTE = "note"  # the kind of a line that is about a model
HEADER = json.dumps({"kind": KIND}).encode() + b"\n"
NO_CACHE = (
    "{path} is no file of stored replies; expected one that veneer wrote; give another folder"
)

BUSY = (
    "another veneer command is writing {path} and does not end; wait until it has, or give another "
    "folder{mend}"
)
PATIENCE = 60.0  # seconds to wait for another process to append its line, where a lock can be told


def key_of(**what: Any) -> str:
    """Return the sha256 of all that decides a reply: endpoint, model, messages, parameters."""
    text = json.dumps(what, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class Cache:
    """key -> reply, in memory, and in `path` where one is given.

    Several processes may append to one file; each reads the lines that existed when it began.
    Raises InputError where the file is something else.
    """

    def __init__(self, path: Path | None = None):
        self.path = path
        self._replies: dict[str, dict[str, Any]] = {}
        self._notes: dict[str, dict[str, Any]] = {}
        self._guard = threading.Lock()
        if path is not None and path.exists():
            self._load(path)

    def __len__(self) -> int:
        return len(self._replies)

    def get(self, key: str) -> dict[str, Any] | None:
        return self._replies.get(key)

    def replies(self) -> list[dict[str, Any]]:
        """Return all replies in the cache."""
        return list(self._replies.values())

    def note(self, name: str) -> dict[str, Any] | None:
        """What was noted of a model beside its replies."""
        return self._notes.get(name)

    def put_note(self, name: str, note: dict[str, Any]) -> None:
        """Note something of a model, once."""
        with self._guard:
            if name not in self._notes:
                self._notes[name] = note
                if self.path is not None:
                    self._append(self.path, {"kind": NOTE, "name": name, "note": note})

    def put(self, key: str, reply: dict[str, Any]) -> None:
        with self._guard:
            if key in self._replies:
                return
            self._replies[key] = reply
            if self.path is not None:
                self._append(self.path, {"key": key, "reply": reply})

    def _append(self, path: Path, row: dict[str, Any]) -> None:
        line = json.dumps(row, ensure_ascii=False) + "\n"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with (
                path.open("ab", buffering=0) as stream,
                exclusive(stream.fileno(), path, patience=PATIENCE),
            ):
                data = line.encode("utf-8", errors="replace")
                if os.fstat(stream.fileno()).st_size == 0:
                    data = HEADER + data
                if stream.write(data) != len(data):
                    raise OSError("only a part of the line was written")
        except Busy as busy:
            raise InputError(BUSY.format(path=path, mend=busy.mend)) from None
        except OSError as error:
            if (failure := write_failure(error, path)) is not None:
                raise failure from error
            raise VeneerError(
                f"{path} could not be written ({error}); free some space and run the same "
                "command again"
            ) from error

    def _load(self, path: Path) -> None:
        try:
            with (
                path.open("r+b") as stream,
                exclusive(stream.fileno(), path, patience=PATIENCE),
            ):
                lines = stream.read().split(b"\n")
                rest = lines.pop()  # behind the last line feed: a line that a kill cut
                if rest and not lines and not HEADER.startswith(rest):
                    raise InputError(NO_CACHE.format(path=path))
                for number, line in enumerate(lines, 1):
                    self._take(path, number, line)
                if rest:
                    stream.truncate(sum(len(line) + 1 for line in lines))
        except Busy as busy:
            raise InputError(BUSY.format(path=path, mend=busy.mend)) from None
        except OSError as error:
            raise InputError(
                f"{path} cannot be read ({error}); expected a file of stored replies, or none"
            ) from None

    def _take(self, path: Path, number: int, line: bytes) -> None:
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if number == 1 and (not isinstance(row, dict) or row.get("kind") != KIND):
            raise InputError(NO_CACHE.format(path=path))
        if not isinstance(row, dict):
            return  # a damaged line is a reply that is requested again
        if "kind" in row:
            name, note = row.get("name"), row.get("note")
            if row["kind"] == NOTE and isinstance(name, str) and isinstance(note, dict):
                self._notes[name] = note
            return
        key, reply = row.get("key"), row.get("reply")
        if (
            isinstance(key, str)
            and isinstance(reply, dict)
            and (outcome := _answered(reply)) is not None
        ):
            self._replies[key] = outcome


def _answered(reply: dict[str, Any]) -> dict[str, Any] | None:
    """Return the reply with its finish reason in OpenAI's words; None for a reply that is no
    answer.

    Version 0.1.0 stored the server's own words, and also answers that had failed: these are
    requested again.
    """
    if "finish_reason" not in reply:
        return reply
    word = WORD.get(ending_of(reply["finish_reason"]))
    return None if word is None else {**reply, "finish_reason": word}
