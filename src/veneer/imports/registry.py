"""Which reader reads which file: by name, or by looking at its beginning."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from veneer.errors import InputError
from veneer.imports.imported import Imported, Rules
from veneer.imports.inspect_logs import read_inspect
from veneer.imports.lm_eval_samples import read_lm_eval
from veneer.imports.overton import read_api, read_open
from veneer.imports.plain import read_plain

Reader = Callable[[Path, Rules | None, str | None], Imported]
READERS: dict[str, Reader] = {
    "overton-open": read_open, "overton-api": read_api, "jsonl": read_plain, "inspect": read_inspect, "lm-eval": read_lm_eval,
}  # fmt: skip
FORMATS = ("auto", *READERS)
PEEK = 2**22  # bytes


def read_stored(path: Path, format: str = "auto", rules: Rules | None = None, system: str | None = None) -> Imported:
    """Stored answers of any of `FORMATS`. system: the name that the answers get; by default the file's own, or its folder's.

    Raises InputError naming file and line where the content is not of the format.
    """
    if format not in FORMATS:
        raise InputError(f"there is no format {format!r}; expected one of {', '.join(FORMATS)}")
    return READERS[guess(path) if format == "auto" else format](path, rules, system)


def guess(path: Path) -> str:
    """The format of a file, by its first object. Raises InputError where it is none of them."""
    if not path.is_file():
        raise InputError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}; expected a file of stored answers")
    if zipfile.is_zipfile(path):
        return "inspect"
    with path.open("rb") as stream:
        start = stream.read(PEEK)
    first = next((line for line in start.split(b"\n") if line.strip()), b"")
    if path.suffix == ".json" and (b'"samples"' in start or b'"eval"' in start):
        return "inspect"
    try:
        row: Any = json.loads(first)
    except (ValueError, RecursionError):
        row = None
    keys = set(row) if isinstance(row, dict) else set()
    if {"ok", "outputs"} <= keys:
        return "overton-api"
    if {"prompt", "outputs"} <= keys:
        return "overton-open"
    if "resps" in keys:
        return "lm-eval"
    if keys & {"text", "response", "responses"}:
        return "jsonl"
    if keys & {"samples", "eval"}:
        return "inspect"
    raise InputError(
        f"{path} starts with nothing that is known as a format of answers; expected one of {', '.join(READERS)}: say which with --format"
    )
