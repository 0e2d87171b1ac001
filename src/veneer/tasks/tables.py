"""Rows of a task's data file, with errors that name the file, the row and the field."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

from veneer.errors import InputError
from veneer.files import read_json_lines

Row = TypeVar("Row")


def read_rows(path: Path, fields: Iterable[str]) -> list[dict[str, Any]]:
    """Rows of a .jsonl, .json (a list) or .csv file, each with at least `fields`."""
    wanted = tuple(fields)
    expected = f"a table whose rows hold {', '.join(wanted)}"
    try:
        if path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as stream:
                rows: list[Any] = list(csv.DictReader(stream))
        elif path.suffix == ".jsonl":
            rows = [row for _, row in read_json_lines(path, expected)]
        else:
            rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path} cannot be read ({error}); expected {expected}; get the file again") from None
    if not isinstance(rows, list) or not rows:
        raise InputError(f"{path} holds no rows; expected {expected}; get the file again")
    for number, row in enumerate(rows, 1):
        missing = [f for f in wanted if not isinstance(row, dict) or row.get(f) is None]
        if missing:
            raise InputError(f"{path} row {number} lacks {', '.join(missing)}; expected {expected}; get the file again")
    return rows


def in_turn(rows: Sequence[Row], group: Callable[[Row], str]) -> list[Row]:
    """Rows that take the groups in turn, in the order in which the groups first come, so that the first ones (--limit) hold every
    group."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(group(row), []).append(row)
    missing = object()
    return [r for turn in zip_longest(*groups.values(), fillvalue=missing) for r in turn if r is not missing]  # type: ignore[misc]
