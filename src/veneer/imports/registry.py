"""Choose the reader of a file, by the format's name or by the beginning of the file."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

from veneer.foundation.errors import InputError
from veneer.foundation.reading.content import check_regular, ending, opened
from veneer.imports.batches import read_batch
from veneer.imports.benchmarks import read_alpaca_eval, read_harmbench, read_model_answers
from veneer.imports.imported import Imported, Rules
from veneer.imports.inspect_logs import read_inspect
from veneer.imports.lm_eval_samples import read_lm_eval
from veneer.imports.overton import read_api, read_open
from veneer.imports.plain import ANSWERS, CHATS, read_plain
from veneer.imports.rows import objects

Reader = Callable[[Path, Rules | None, str | None], Imported]
READERS: dict[str, Reader] = {
    "overton-open": read_open,
    "overton-api": read_api,
    "jsonl": read_plain,
    "inspect": read_inspect,
    "lm-eval": read_lm_eval,
    "batch": read_batch,
    "alpaca-eval": read_alpaca_eval,
    "model-answers": read_model_answers,
    "harmbench": read_harmbench,
}
FORMATS = ("auto", *READERS)
PEEK = 2**22  # bytes


def read_stored(
    path: Path, format: str = "auto", rules: Rules | None = None, system: str | None = None
) -> Imported:
    """Read stored answers in any of `FORMATS`. system: the name of the answers' system; by default
    the file's own, or its folder's.

    Raises InputError naming file and line where the content does not have the format.
    """
    if format not in FORMATS:
        raise InputError(f"there is no format {format!r}; expected one of {', '.join(FORMATS)}")
    return READERS[guess(path) if format == "auto" else format](path, rules, system)


def guess(path: Path) -> str:
    """Return the format of a file, by its first object. Raises InputError where it fits none."""
    check_regular(path, "a file of stored answers")
    if zipfile.is_zipfile(path):
        return "inspect"
    with opened(path, "a file of stored answers") as stream:
        start = stream.read(PEEK)
    if (
        ending(path) == ".json"
        and start.lstrip()[:1] == b"{"
        and b'"samples"' in start
        and b'"eval"' in start
    ):
        return "inspect"
    _, row = next(objects(path, "a file of stored answers"), ("", {}))
    keys = set(row)
    if {"samples", "eval"} & keys and not keys & {"text", "response", "responses"}:
        return "inspect"
    if {"ok", "outputs"} <= keys:
        return "overton-api"
    if {"prompt", "outputs"} <= keys:
        return "overton-open"
    if "resps" in keys:
        return "lm-eval"
    if "custom_id" in keys and keys & {"response", "result"}:
        return "batch"
    if {"question_id", "choices"} <= keys:
        return "model-answers"
    if {"instruction", "output"} <= keys:
        return "alpaca-eval"
    if keys & {"responses", *ANSWERS, *CHATS}:
        return "jsonl"
    first = next(iter(row.values()), None)
    if (
        isinstance(first, list)
        and first
        and isinstance(first[0], dict)
        and "generation" in first[0]
    ):
        return "harmbench"
    shown = f"an object with the keys {', '.join(map(str, row))[:200]}" if row else "no object"
    raise InputError(
        f"{path} begins with {shown}, which fits no format of answers; "
        f"expected one of {', '.join(READERS)}: name it with --format"
    )
