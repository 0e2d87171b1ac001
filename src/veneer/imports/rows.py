"""Rows of foreign files: every error names the file and the line; a row becomes a response here
only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.reading import open_rows
from veneer.foundation.reading.json_values import parsed
from veneer.systems.responses import Response

__all__ = ["an_object", "as_response", "get", "objects", "parsed"]


def objects(path: Path, expected: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where it stands, object) of each row of a file of any kind that `reading` reads. Raises
    InputError for anything else."""
    rows = open_rows(path, expected)
    if rows.kind == "text":
        raise InputError(f"{path} is plain text; expected {expected}")
    for where, row in rows.each(None):
        yield where, an_object(row, where, expected)


def as_response(
    prompt_id: str,
    sample_id: int,
    system: str,
    task: str,
    text: str,
    ended: str,
    seed: int,
    reasoning: str | None = None,
) -> Response:
    """Return a stored answer as a response without token ids."""
    return Response(prompt_id, sample_id, system, task, text, (), ended, seed, reasoning)


def an_object(value: Any, where: str, expected: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{where} holds {_kind(value)}; expected {expected}")
    return value


def get(
    row: dict[str, Any], key: str, kinds: type | tuple[type, ...], where: str, expected: str
) -> Any:
    """Return row[key], checked for its type; True and False are no numbers. Raises InputError."""
    value = row.get(key)
    right = kinds if isinstance(kinds, tuple) else (kinds,)
    if not isinstance(value, right) or (isinstance(value, bool) and bool not in right):
        raise InputError(
            f'{where} has {_kind(value) if key in row else "nothing"} as "{key}"; '
            f"expected {expected}"
        )
    return value


def _kind(value: Any) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "null")
