"""JSON lines of strangers: read one at a time, each an object, with the file and the line in every refusal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from veneer.errors import InputError

LONGEST_LINE = 64 * 2**20  # bytes


def objects(path: Path, expected: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) of each line that is not empty. Raises InputError for anything else."""
    try:
        with path.open("rb") as stream:
            number = 0
            while line := stream.readline(LONGEST_LINE + 1):
                number += 1
                if len(line) > LONGEST_LINE:
                    raise InputError(
                        f"{path} line {number} is longer than {LONGEST_LINE >> 20} MiB; expected {expected}, one object a line"
                    )
                if line.strip():
                    yield number, an_object(parsed(line, f"{path} line {number}", expected), f"{path} line {number}", expected)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; expected {expected}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); expected {expected}") from None


def parsed(text: str | bytes, where: str, expected: str) -> Any:
    try:
        return json.loads(text.decode("utf-8", errors="replace") if isinstance(text, bytes) else text)
    except (ValueError, RecursionError) as error:
        said = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"{where} is not valid JSON ({said}); expected {expected}; is the file whole?") from None


def an_object(value: Any, where: str, expected: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{where} holds {_kind(value)}; expected {expected}")
    return value


def get(row: dict[str, Any], key: str, kinds: type | tuple[type, ...], where: str, expected: str) -> Any:
    """row[key], of the right kind; True and False are no numbers."""
    value = row.get(key)
    right = kinds if isinstance(kinds, tuple) else (kinds,)
    if not isinstance(value, right) or (isinstance(value, bool) and bool not in right):
        raise InputError(f'{where} has {_kind(value) if key in row else "nothing"} as "{key}"; expected {expected}')
    return value


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "null")
