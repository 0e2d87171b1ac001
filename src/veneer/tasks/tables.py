"""Read the rows of a task's data file. Errors name the file, the row and the field."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

from veneer.foundation.errors import InputError
from veneer.foundation.reading import open_rows

Row = TypeVar("Row")


def read_rows(path: Path, fields: Iterable[str]) -> list[dict[str, Any]]:
    """Return the rows of a file of any kind that `veneer.foundation.reading` reads, each with at
    least `fields`. Raises InputError."""
    wanted = tuple(fields)
    expected = f"a table whose rows hold {', '.join(wanted)}"
    try:
        rows: list[Any] = [row for _, row in open_rows(path, expected).each(None)]
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
            raise InputError(
                f"{path} row {number} lacks {', '.join(missing)}; expected {expected}; get "
                "the file again"
            )
    return rows


def in_turn(rows: Sequence[Row], group: Callable[[Row], str]) -> list[Row]:
    """Return the rows so that their groups take turns, in the order in which the groups first
    occur: the first rows (--limit) hold every group."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(group(row), []).append(row)
    return [r for turn in zip_longest(*groups.values()) for r in turn if r is not None]
