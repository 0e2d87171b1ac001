"""Read the JSON values of a file: one object per line, objects one after the other, or one array of
them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Any

from veneer.foundation.errors import InputError
from veneer.foundation.reading import decode
from veneer.foundation.reading.content import opened, read_whole

LONGEST_LINE = 64 * 2**20  # bytes
# under which key an object that is the whole file holds the rows
WRAPPERS = ("data", "rows", "examples", "instances", "prompts", "questions", "items", "records")
Line = tuple[int, bytes]
BLANK = " \t\r\n\ufeff"  # a mark also stands where files with marks were put together


class Place(str):
    """The place of a value in a file, for messages: "FILE line 3" or "FILE item 3". number: the 3;
    both count from 1."""

    __slots__ = ("number",)
    number: int

    def __new__(cls, path: Path, kind: str, number: int) -> Place:
        place = super().__new__(cls, f"{path} {kind} {number}")
        place.number = number
        return place


def json_values(path: Path, expected: str) -> Iterator[tuple[Place, Any]]:
    """Yield (place, value) of each value: lines of JSON lines and of objects that follow each
    other; items of an array, or of the array under one of `WRAPPERS` in an object that is all that
    the file holds.

    Lines end at a line feed, not at the other characters that str.splitlines splits at and that
    texts may hold. Raises InputError that names the line that is not JSON, or that repeats a key.
    """
    with opened(path, expected) as stream:
        lines = _lines(stream, path, expected)
        first = next(lines, None)
        if first is None:
            return
        whole = _first_value(first, path)
        if whole is None:
            yield from _of_text(
                decode.decoded(read_whole(stream, path, b"\n" * (first[0] - 1) + first[1]), path),
                path,
                expected,
            )
            return
        second = next(lines, None)
        if second is None and (rows := _wrapped(whole)) is not None:
            yield from ((Place(path, "item", i), row) for i, row in enumerate(rows, 1))
            return
        yield Place(path, "line", first[0]), whole
        for number, line in chain([second] if second else [], lines):
            where = Place(path, "line", number)
            yield where, parsed(decode.decoded(line, path, number), where, expected)


def parsed(text: str | bytes, where: str, expected: str) -> Any:
    """Return one JSON value. Raises InputError where `text` is none, or repeats a key of an
    object."""
    if isinstance(text, bytes):
        text = decode.decoded(text, where)
    try:
        return json.loads(text.strip(BLANK), object_pairs_hook=unique_keys)
    except RepeatedKey as error:
        raise InputError(
            f"{where} has the key {str(error)!r} twice in one object; give it once"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{where} is not valid JSON ({_reason(error)}); expected {expected}; is the file whole?"
        ) from None


class RepeatedKey(Exception):
    """A key that an object repeats; Python's reader would silently take the last one."""


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of its keys and values. Raises RepeatedKey with the first key that it has
    twice."""
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [k for k, _ in pairs]
        raise RepeatedKey(next(k for k in keys if keys.count(k) > 1))
    return made


def _lines(stream: IO[bytes], path: Path, expected: str) -> Iterator[Line]:
    """Yield (number, line) of each line that is not blank.

    UTF-16 and UTF-32, whose line ends have several bytes, come as UTF-8. A first line that is an
    array may have any length, and comes with as much as was read of it.
    """
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        if number == 0 and decode.marked(line) in decode.WIDE:
            text = decode.decoded(read_whole(stream, path, line), path)
            yield from (
                (n, row.encode()) for n, row in enumerate(text.split("\n"), 1) if row.strip(BLANK)
            )
            return
        number += 1
        if len(line) > LONGEST_LINE and not (number == 1 and _begins(line) == b"["):
            raise InputError(
                f"{path} line {number} is longer than {LONGEST_LINE >> 20} MiB; expected "
                f"{expected}, one object per line"
            )
        if _begins(line):
            yield number, line


def _begins(line: bytes) -> bytes:
    """Return the first character of a line that is not blank."""
    return line.removeprefix(decode.MARKS[2][0]).lstrip()[:1]


def _first_value(first: Line, path: Path) -> Any:
    """Return the value of the first line, or None where the file must be read as a whole: an array,
    an object over several lines, or several values on the line."""
    if _begins(first[1]) == b"[":
        return None
    text = decode.decoded(first[1], path, first[0])
    try:
        return json.loads(text.strip(BLANK), object_pairs_hook=unique_keys)
    except (RepeatedKey, ValueError, RecursionError):
        return None


def _of_text(text: str, path: Path, expected: str) -> Iterator[tuple[Place, Any]]:
    """Yield the values of a text that follow each other; for one array, its items."""
    decoder = json.JSONDecoder(object_pairs_hook=unique_keys)
    at, values = _skipped(text, 0), 0
    while at < len(text):
        where = Place(path, "line", _line(text, at))
        try:
            value, end = decoder.raw_decode(text, at)
        except RepeatedKey as error:
            raise InputError(
                f"{where} has the key {str(error)!r} twice in one object; give it once"
            ) from None
        except (ValueError, RecursionError) as error:
            line = (
                _line(text, error.pos)
                if isinstance(error, json.JSONDecodeError)
                else _line(text, at)
            )
            raise InputError(
                f"{path} line {line} is not valid JSON ({_reason(error)}); expected {expected}; "
                "is the file whole?"
            ) from None
        at, values = _skipped(text, end), values + 1
        rows = (
            (value if isinstance(value, list) else _wrapped(value))
            if values == 1 and at == len(text)
            else None
        )
        if rows is not None:
            yield from ((Place(path, "item", i), row) for i, row in enumerate(rows, 1))
        else:
            yield where, value


def _wrapped(value: Any) -> list[Any] | None:
    """Return the rows of an object that holds only them and descriptions of them: {"version": 1,
    "data": [{...}, ...]}."""
    if not isinstance(value, dict):
        return None
    lists = [
        v
        for k, v in value.items()
        if k in WRAPPERS and isinstance(v, list) and v and all(isinstance(r, dict) for r in v)
    ]
    return (
        lists[0]
        if len(lists) == 1 and not {"prompt", "messages", "results"} & value.keys()
        else None
    )


def _skipped(text: str, at: int) -> int:
    while at < len(text) and text[at] in BLANK:
        at += 1
    return at


def _line(text: str, at: int) -> int:
    before = text[:at]
    return before.count("\n") + before.count("\r") - before.count("\r\n") + 1


def _reason(error: BaseException) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)
