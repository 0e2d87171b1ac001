"""Responses of a system, one JSON line each."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.files import json_lines, write_text
from veneer.foundation.reading import as_id, open_rows
from veneer.foundation.reading.decode import warn_of_damage
from veneer.foundation.text import is_no_text
from veneer.reasoning import split_reasoning
from veneer.reasoning.parts import is_unfinished

log = logging.getLogger("veneer")
NEEDED = ("prompt_id", "text")


@dataclass(frozen=True, slots=True)
class Response:
    """text: the answer, without special tokens, cut at a stop string. token_ids: of all that was
    written, with the end token. finish_reason: "stop" or "length". reasoning: what a thinking model
    wrote before its answer, None where it wrote none. forced: the text with which the answer was
    made to begin; `text` and `token_ids` hold it too. These two are in the file only where there is
    one."""

    prompt_id: str
    sample_id: int
    system: str
    task: str
    text: str
    token_ids: tuple[int, ...]
    finish_reason: str
    seed: int
    reasoning: str | None = None
    forced: str = ""

    @property
    def unfinished(self) -> bool:
        """Whether it ended within its reasoning, so that it has no answer to judge."""
        return is_unfinished(self.reasoning, self.text)

    @property
    def empty(self) -> bool:
        """Whether it has no text."""
        return not self.text.strip() and not self.unfinished

    def line(self) -> str:
        row = asdict(self)
        if self.reasoning is None:
            del row["reasoning"]
        if not self.forced:
            del row["forced"]
        return json_lines([row])


def write_responses(path: Path, responses: Iterable[Response]) -> None:
    write_text(path, "".join(r.line() for r in responses))


def read_responses(path: Path) -> list[Response]:
    """The answers of a file of any kind that `reading` reads. A row may hold `prompt_id` and `text`
    alone: the file's name without its ending is then the system. Raises InputError naming the row
    that is no response. A thought that still stands in a text (version 0.1.0) is removed."""
    rows = []
    short = {
        "sample_id": 0,
        "system": path.name.partition(".")[0],
        "task": "prompts",
        "token_ids": (),
        "finish_reason": "unknown",
        "seed": 0,
    }
    opened = open_rows(path, "responses, which `veneer generate` writes")
    for where, row in opened.each(None):
        try:
            rows.append(apart(_response(row, short, table=opened.columns is not None)))
        except ValueError as error:
            raise InputError(
                f"{where} is not a response ({error}); expected what `veneer "
                'generate` writes, or {"prompt_id", "text"}; other files of answers are read by '
                "`veneer import`"
            ) from None
    # what a model of Veneer's own wrote is no damage
    warn_of_damage([r.text for r in rows if not r.token_ids], str(path))
    return rows


def _response(row: Any, short: Mapping[str, Any], *, table: bool) -> Response:
    """Return the response in a row. short: the values of keys that it lacks. table: an empty cell
    says nothing. Raises ValueError that says what is wrong."""
    if not isinstance(row, dict):
        raise ValueError("it is no object")
    for name in NEEDED:
        if name not in row:
            raise ValueError(f"it has no {name}")
    row = {k: v for k, v in row.items() if k in NEEDED or not (v is None or (table and v == ""))}
    if strange := [k for k in row if k not in Response.__slots__]:
        raise ValueError(f"it has the unknown key {strange[0]!r}")
    row = {**short, **row, "prompt_id": as_id(row.get("prompt_id"))}
    if row["prompt_id"] is None:
        raise ValueError("prompt_id is neither a text nor a whole number")
    for name in ("text", "system", "task", "finish_reason"):
        if not isinstance(row[name], str):
            raise ValueError(f"{name} is no text")
    for name in ("sample_id", "seed"):
        row[name] = _whole(name, row[name])
    if not row["token_ids"] and is_no_text(row["text"]):
        raise ValueError(f"text is {row['text']!r}, a mark of an error: leave such rows out")
    if not isinstance(row["token_ids"], list | tuple):
        raise ValueError("token_ids are no list")
    return Response(**{**row, "token_ids": tuple(row["token_ids"])})


def _whole(name: str, value: Any) -> int:
    """Return a whole number, which a table holds as its digits. Raises ValueError."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} is no whole number")
    return value


def apart(response: Response) -> Response:
    """The same response without a thought in its text."""
    if response.reasoning is not None or not isinstance(response.text, str):
        return response
    parts = split_reasoning(response.text)
    return (
        response
        if parts.answer == response.text
        else replace(response, text=parts.answer, reasoning=parts.reasoning)
    )


def finished(responses: Iterable[Response]) -> list[Response]:
    """The responses without those that were cut within their reasoning: comparisons of texts
    have nothing to compare there. A warning says how many these are. Raises InputError where a
    system has no others."""
    every = list(responses)
    for system in dict.fromkeys(r.system for r in every if r.unfinished):
        own = [r for r in every if r.system == system]
        cut = sum(r.unfinished for r in own)
        if cut == len(own):
            raise InputError(
                f"every answer of {system} ({cut}) ends within its reasoning, so nothing can be "
                "compared; give a larger --max-new-tokens"
            )
        log.warning(
            "veneer: %d of %d answers of %s end within their reasoning and are left out",
            cut,
            len(own),
            system,
        )
    return [r for r in every if not r.unfinished]
