"""The date that chat templates write: today's, or that of the first run into a folder that
resumes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any


def today() -> str:
    """Return today's date, such as 2026-11-29."""
    return date.today().isoformat()


def day_of(*records: Path) -> str:
    """Return the date in the first of these JSON files that has one (in a chat format, or as
    "day"), otherwise today's. A file of JSON lines needs only its first line; a file that cannot be
    read has no date, and the module that needs its content reports the error."""
    for path in records:
        first = next(_days(_read(path)), None)
        if first is not None:
            return first
    return today()


def _read(path: Path) -> Any:
    try:
        if not path.is_file():
            return None
        with path.open(encoding="utf-8") as file:
            return json.loads(file.read() if path.suffix == ".json" else file.readline())
    except (OSError, ValueError, RecursionError):
        return None


def _days(record: Any) -> Iterator[str]:
    if isinstance(record, dict):
        if isinstance(day := record.get("day"), str) and _is_date(day):
            yield day
        record = list(record.values())
    if isinstance(record, list):
        for one in record:
            if isinstance(one, dict | list):
                yield from _days(one)


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
