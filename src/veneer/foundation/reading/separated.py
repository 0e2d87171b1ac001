"""Read tables of separated values with a header: .csv, .tsv, and what spreadsheets of other
countries write under these endings."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from veneer.foundation.errors import InputError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
LONGEST_FIELD = 2**27  # characters


@dataclass(frozen=True)
class Separated:
    """A table of text. separator: the character between fields. columns: the header, without blanks
    around the names. rows: (number of the first line, fields)."""

    separator: str
    columns: tuple[str, ...]
    rows: list[tuple[int, list[str]]]


class _Unfit(Exception):
    """A separator that does not fit a file: the line, and its content."""


def read_separated(text: str, path: Path, tabs: bool = False) -> Separated:
    """Read a table with a header. The separator is one that parts the header, and with which every
    line has as many fields as the header; Excel's first line "sep=;" names it. tabs: the file's
    name says that tabs do (.tsv), which decides where several fit.

    Raises InputError that names the line with more or fewer fields, and where
    several separators fit.
    """
    csv.field_size_limit(LONGEST_FIELD)
    named = re.match(r'\s*"?sep=([^\r\n])"?[ \t]*(?:\r\n|\r|\n)', text)
    body, above = (text[named.end() :], 1) if named else (text, 0)
    start = body.lstrip(" \t\r\n")[:2]
    if start[:1] == "{" or start in ("[{", '["', "[["):
        raise InputError(
            f"{path} begins like JSON and is named like a table; expected a header: give it the "
            "ending .jsonl or .json"
        )
    header = _header(body)
    possible = (
        [named[1]] if named else [s for s in SEPARATORS if s in header] or ["\t" if tabs else ","]
    )
    fit: list[Separated] = []
    unfit: list[tuple[str, _Unfit]] = []
    for separator in possible:
        try:
            fit.append(_read(body, separator, above))
        except _Unfit as error:
            unfit.append((separator, error))
    if tabs and any(f.separator == "\t" for f in fit):
        fit = [f for f in fit if f.separator == "\t"]
    many = [f for f in fit if len(f.columns) > 1]
    if len(many) > 1:
        names = " and ".join(SEPARATORS.get(f.separator, f.separator) for f in many)
        raise InputError(
            f"{path} can be read with {names} between its fields; put double quotes around fields "
            "that hold one of them"
        )
    if not fit:
        separator, why = next((u for u in unfit if u[0] == "\t"), unfit[0]) if tabs else unfit[0]
        name = SEPARATORS.get(separator, repr(separator))
        raise InputError(
            f"{path} {why}; expected fields between {name} as in the header: put double quotes "
            "around a field that holds one"
        )
    table = (many or fit)[0]
    if twice := sorted({c for c in table.columns if c and table.columns.count(c) > 1}):
        raise InputError(
            f"{path} names the column {twice[0]!r} twice in its header; give each column its "
            "own name"
        )
    return table


def _header(body: str) -> str:
    """Return the first line that is not blank; it may be quoted, which `_read` handles."""
    return next((line for line in io.StringIO(body, newline="") if line.strip()), "")


def _read(body: str, separator: str, above: int) -> Separated:
    """Read the table with one separator. Raises _Unfit."""
    header = _header(body)
    # "id, prompt": the rows have a blank behind the separator too, and a quote behind that is one
    blank = bool(re.search(re.escape(separator) + " +[^ ]", header)) and not separator.isspace()
    reader = csv.reader(
        io.StringIO(body, newline=""), delimiter=separator, strict=True, skipinitialspace=blank
    )
    columns: tuple[str, ...] | None = None
    rows: list[tuple[int, list[str]]] = []
    while True:
        line = reader.line_num + 1 + above
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            raise _Unfit(f"line {line} is no row of a table ({error})") from None
        if not fields or (not any(fields) and columns is None):
            continue
        if columns is None:
            columns = tuple(name.strip() for name in fields)
        elif len(fields) != len(columns):
            if len(fields) == 1 and not fields[0].strip():
                continue  # a line of blanks
            raise _Unfit(
                f"line {line} has {len(fields)} field{'s' * (len(fields) > 1)} where the header "
                f"has {len(columns)}"
            )
        elif quoted := next((f for f in fields if re.match(r'\s+".*"\s*$', f, re.DOTALL)), None):
            raise _Unfit(
                f"line {line} has blanks before a quote ({quoted.strip()[:30]!r}), which would "
                "stay in the text"
            )
        else:
            rows.append((line, fields))
    return Separated(separator, columns or (), rows)


def rows_of(table: Separated, path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    for line, fields in table.rows:
        yield f"{path} line {line}", dict(zip(table.columns, fields, strict=True))
