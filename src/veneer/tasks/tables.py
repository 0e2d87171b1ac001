"""Read the rows of a task's data file. Errors name the file, the row and the field."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

from veneer.foundation.errors import InputError
from veneer.foundation.reading import open_rows

Row = TypeVar("Row")
NOT_A_NUMBER = ("nan", "NaN", "<NA>")  # an empty cell that pandas wrote as text
EMPTY = (*NOT_A_NUMBER, "None", "null", "NULL")


def optional_text(value: Any) -> str:
    """Return the text of a cell that may be empty: "" for null, NaN and the words that programs
    write for them."""
    text = "" if value is None or value != value else str(value).strip()
    return "" if text in EMPTY else text


def read_rows(
    path: Path, fields: Iterable[str], *, texts: Sequence[str] = (), id: str | None = None
) -> list[dict[str, Any]]:
    """Return the rows of a file of any kind that `veneer.foundation.reading` reads, each with at
    least `fields`. texts: those of them that hold a text which is not blank. id: the one that
    differs in every row. Line breaks inside a text are line feeds, also of a file that was
    converted for Windows. Raises InputError, also where two rows are the same: each prompt would
    count twice."""
    wanted = tuple(fields)
    expected = f"a table whose rows hold {', '.join(wanted)}"
    try:
        rows = [_with_line_feeds(row) for _, row in open_rows(path, expected).each(None)]
    except InputError as error:
        reason = str(error).removeprefix(f"{path} ")
        raise InputError(
            f"{path} cannot be read as {expected} ({reason}); get the file again"
        ) from None
    if not any(rows):
        raise InputError(f"{path} holds no rows; expected {expected}; get the file again")
    for number, row in enumerate(rows, 1):
        missing = [f for f in wanted if not isinstance(row, dict) or row.get(f) is None]
        if missing:
            keys = ", ".join(map(str, row)) if isinstance(row, dict) else "none"
            raise InputError(
                f"{path} row {number} lacks {', '.join(missing)} (its columns are {keys}); "
                f"expected {expected}; get the file again, or rename the columns"
            )
    _check_texts(path, rows, texts)
    if id is not None:
        _check_ids(path, rows, id)
    _check_once(path, rows, wanted)
    return rows


def line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _with_line_feeds(row: Any) -> Any:
    if not isinstance(row, dict):
        return row
    return {k: line_feeds(v) if isinstance(v, str) else v for k, v in row.items()}


def _check_texts(path: Path, rows: Sequence[dict[str, Any]], texts: Sequence[str]) -> None:
    for number, row in enumerate(rows, 1):
        for name in texts:
            text = row[name].strip() if isinstance(row[name], str) else ""
            if not text or text in NOT_A_NUMBER:
                raise InputError(
                    f"{path} row {number} has no text under {name!r}, but {row[name]!r:.60}; "
                    "expected a text that is not blank; get the file again"
                )


def _check_ids(path: Path, rows: Sequence[dict[str, Any]], id: str) -> None:
    """Answers are matched to prompts by id, so that two prompts of one id would mix."""
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        if (first := seen.setdefault(str(row[id]), number)) != number:
            raise InputError(
                f"{path} row {number} has the {id} {row[id]!r}, as has row {first}; expected "
                "each row to have its own; get the file again"
            )


def _check_once(path: Path, rows: Sequence[dict[str, Any]], fields: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        content = repr([row[f] for f in fields])
        if (first := seen.setdefault(content, number)) != number:
            raise InputError(
                f"{path} row {number} is the same as row {first}; expected each row once; get the "
                "file again"
            )


def in_turn(rows: Sequence[Row], group: Callable[[Row], str]) -> list[Row]:
    """Return the rows so that their groups take turns, in the order in which the groups first
    occur: the first rows (--limit) hold every group."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(group(row), []).append(row)
    return [r for turn in zip_longest(*groups.values()) for r in turn if r is not None]
