"""Responses: what a system answered, a JSON line each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from veneer.errors import InputError
from veneer.files import json_lines, read_json_lines, write_text


@dataclass(frozen=True, slots=True)
class Response:
    """text: without special tokens, cut at a stop string. token_ids: with the end token. finish_reason: "stop" or "length"."""

    prompt_id: str
    sample_id: int
    system: str
    task: str
    text: str
    token_ids: tuple[int, ...]
    finish_reason: str
    seed: int

    def line(self) -> str:
        return json_lines([asdict(self)])


def write_responses(path: Path, responses: Iterable[Response]) -> None:
    write_text(path, "".join(r.line() for r in responses))


def read_responses(path: Path) -> list[Response]:
    """Raises InputError naming the line that is no response."""
    rows = []
    for number, row in read_json_lines(path, "responses, which `veneer generate` writes"):
        try:
            rows.append(Response(**{**row, "token_ids": tuple(row["token_ids"])}))
        except (TypeError, ValueError, KeyError) as error:
            raise InputError(
                f"{path} line {number} is not a response ({error}); expected what `veneer generate` writes; make it again"
            ) from None
    return rows
