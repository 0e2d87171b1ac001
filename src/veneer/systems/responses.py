"""Responses of a system, one JSON line each."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from veneer.foundation.errors import InputError
from veneer.foundation.files import json_lines, read_json_lines, write_text
from veneer.reasoning import split_reasoning
from veneer.reasoning.parts import is_unfinished

log = logging.getLogger("veneer")


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
    """The answers of a file. A line may hold `prompt_id` and `text` alone: the file's name without
    its ending is then the system. Raises InputError naming the line that is no response. A thought
    that still stands in a text (version 0.1.0) is removed."""
    rows = []
    short = {
        "sample_id": 0,
        "system": path.name.partition(".")[0],
        "task": "prompts",
        "token_ids": (),
        "finish_reason": "unknown",
        "seed": 0,
    }
    for number, row in read_json_lines(path, "responses, which `veneer generate` writes"):
        try:
            if isinstance(row, dict) and {"prompt_id", "text"} <= row.keys():
                row = {**short, **row}
            for name in ("prompt_id", "text"):
                if not isinstance(row[name], str):
                    raise TypeError(f"{name} is no text")
            rows.append(apart(Response(**{**row, "token_ids": tuple(row["token_ids"])})))
        except (TypeError, ValueError, KeyError) as error:
            raise InputError(
                f"{path} line {number} is not a response ({error}); expected what `veneer "
                'generate` writes, or {"prompt_id", "text"}; other files of answers are read by '
                "`veneer import`"
            ) from None
    return rows


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
