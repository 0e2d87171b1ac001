"""Choose how to read a file: by its ending, by its beginning where the ending says nothing, and
never against its beginning."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.reading.columnar import Columnar
from veneer.foundation.reading.content import COMPRESSIONS, ending, opened, read_bytes
from veneer.foundation.reading.decode import decoded, marked
from veneer.foundation.reading.json_values import json_values
from veneer.foundation.reading.separated import read_separated, rows_of

JSON = (".jsonl", ".json", ".ndjson", ".jsonlines")
KINDS: dict[str, str] = {
    **dict.fromkeys(JSON, "json"),
    ".csv": "separated",
    ".tsv": "separated",
    ".tab": "separated",
    ".txt": "text",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
ENDINGS = (
    ".jsonl, .json, .csv, .tsv, .txt, .parquet, .arrow or .feather, also with .gz, .bz2, .xz or "
    ".zst behind it"
)
Row = tuple[str, Any]  # its place ("FILE line 3"), its contents
_SHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")
_YAML = (".yaml", ".yml")
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"


@dataclass(frozen=True)
class Rows:
    """The rows of an opened file. kind: json, separated, text, parquet or arrow. columns: the names
    in a table; None where each row has its own keys (JSON), () for text, whose rows are lines.
    each: a function that yields the rows, with the named columns of a table alone (None: with
    all)."""

    kind: str
    columns: tuple[str, ...] | None
    each: Callable[[Iterable[str] | None], Iterator[Row]]


def open_rows(path: Path, expected: str) -> Rows:
    """Open the rows of a file. expected: a description of the right content, for error messages.

    Raises InputError for anything else, at once or when the rows are read; each error names the
    file and the line.
    """
    with opened(path, expected) as stream:
        head = stream.read(512)
    kind = _kind(path, head, expected)
    if kind == "json":
        return Rows(kind, None, lambda wanted: json_values(path, expected))
    if kind in ("parquet", "arrow"):
        with path.open("rb") as raw:
            start = raw.read(8)
        columnar = Columnar(
            path, kind == "arrow", any(start.startswith(magic) for magic, _, _ in COMPRESSIONS)
        )
        return Rows(kind, columnar.columns, columnar.rows)
    text = decoded(read_bytes(path, expected), path)
    if kind == "text":
        return Rows(kind, (), lambda wanted: _text_lines(text, path))
    table = read_separated(text, path, tabs=ending(path) in (".tsv", ".tab"))
    return Rows(kind, table.columns, lambda wanted: rows_of(table, path))


def _kind(path: Path, head: bytes, expected: str) -> str:
    name = ending(path)
    if (
        name in _SHEETS
        or head.startswith(_OLE)
        or (head.startswith(_ZIP) and b"[Content_Types].xml" in head)
    ):
        raise InputError(
            f"{path} is a spreadsheet's own file; save it as CSV (UTF-8) and give that file"
        )
    if name in _YAML:
        raise InputError(f"{path} is YAML, which is not read; save it as JSON, one object per row")
    if head.startswith(_ZIP):
        raise InputError(f"{path} is a zip archive; unpack it, and give the file in it: {ENDINGS}")
    if head[257:262] == b"ustar":
        raise InputError(f"{path} is a tar archive; unpack it, and give the file in it: {ENDINGS}")
    by_content = (
        "parquet" if head.startswith(b"PAR1") else "arrow" if head.startswith(b"ARROW1") else None
    )
    by_name = KINDS.get(name)
    if by_content is not None:
        return by_content
    if by_name is not None:
        return by_name
    if head.decode(marked(head), errors="ignore").lstrip("\ufeff \t\r\n")[:1] in ("{", "["):
        return "json"
    if not head.strip():
        return "json"  # nothing in it, which the caller refuses
    raise InputError(
        f"{path} does not begin like JSON, and its ending {name!r} says nothing; expected "
        f"{expected}; name it {ENDINGS}"
    )


def _text_lines(text: str, path: Path) -> Iterator[Row]:
    """Yield the lines of a text. They end at a line feed, at a carriage return with one, or, where
    the file holds no line feed, at a carriage return."""
    lines = text.split("\n") if "\n" in text else text.split("\r")
    for number, line in enumerate(lines, 1):
        line = line.removesuffix("\r").removeprefix("\ufeff")
        if "\r" in line:
            raise InputError(
                f"{path} line {number} holds a carriage return, and other lines end with a line "
                "feed; use one of the two"
            )
        if line.lstrip().startswith("{") and _is_object(line):
            raise InputError(
                f"{path} line {number} is a JSON object in a file of plain text; give the file "
                "the ending .jsonl"
            )
        if line.strip():
            yield f"{path} line {number}", line


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
