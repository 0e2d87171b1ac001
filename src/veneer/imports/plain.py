"""Plain JSON lines of answers: an object an answer or a prompt, and what `veneer generate` writes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from veneer.errors import InputError
from veneer.imports.imported import Imported, Rules
from veneer.imports.rows import objects
from veneer.prompts import Prompt

EXPECTED = '{"prompt" or "prompt_id", "text": answer or "responses": [answers]}'


def read_plain(path: Path, rules: Rules | None = None, system: str | None = None) -> Imported:
    """A line an answer ({"prompt_id" and/or "prompt", "text", and if known "sample_id", "finish_reason", "system", "task"}) or a line a
    prompt ({..., "responses": [text, ...]}). An answer of null, or a line with "error", is an error and is dropped.

    Prompts without an id are numbered from 0 in the order in which their texts first occur. Without a sample number, samples of a prompt
    are numbered in their order.
    """
    found = Imported(str(path), "jsonl", rules or Rules())
    ids: dict[str, str] = {}
    samples: Counter[str] = Counter()
    rows = 0
    for number, row in objects(path, EXPECTED):
        where, rows = f"{path} line {number}", rows + 1
        id, text = _prompt(row, where, ids)
        if text is not None and id not in samples:
            found.prompts.append(Prompt.from_text(id, text))
        answers = row.get("responses", [row.get("text", row.get("response"))])
        if not isinstance(answers, list):
            raise InputError(f"{where} has responses that are no list; expected {EXPECTED}")
        given = row.get("sample_id")
        if given is not None and ("responses" in row or isinstance(given, bool) or not isinstance(given, int) or given < 0):
            raise InputError(f"{where} has the sample_id {str(given)[:40]!r}; expected a whole number from 0 beside one answer")
        for answer in answers:
            sample = samples[id] if given is None else given
            samples[id] += 1
            _put(found, row, answer, id, sample, system or _name(row, path), where)
    if not rows:
        raise InputError(f"{path} holds no rows; expected {EXPECTED} a line")
    return found


def _put(found: Imported, row: dict[str, Any], answer: Any, id: str, sample: int, system: str, where: str) -> None:
    if answer is None and ("error" in row or "text" in row or "responses" in row):
        found.dropped["error: no answer"] += 1
        return
    if not isinstance(answer, str):
        raise InputError(f"{where} has no answer that is a text; expected {EXPECTED}")
    finish, task, seed = row.get("finish_reason"), row.get("task"), row.get("seed")
    reasoning = next((t for key in ("reasoning", "reasoning_content") if isinstance(t := row.get(key), str)), None)
    found.put(
        id, sample, system, answer, task=task if isinstance(task, str) else "prompts",
        finish=finish if isinstance(finish, str) else None, seed=seed if isinstance(seed, int) else 0, reasoning=reasoning,
    )  # fmt: skip


def _prompt(row: dict[str, Any], where: str, ids: dict[str, str]) -> tuple[str, str | None]:
    """(id, text if the row has it)."""
    text, id = row.get("prompt"), row.get("prompt_id", row.get("id"))
    if text is not None and not isinstance(text, str):
        raise InputError(f"{where} has a prompt that is no text; expected {EXPECTED}")
    if id is not None and (isinstance(id, bool) or not isinstance(id, str | int)):
        raise InputError(f"{where} has a prompt_id that is neither a text nor a whole number; expected {EXPECTED}")
    if id is None and text is None:
        raise InputError(f"{where} does not say which prompt it answers; expected {EXPECTED}")
    if id is None:
        assert text is not None
        return ids.setdefault(text, str(len(ids))), text
    return str(id), text


def _name(row: dict[str, Any], path: Path) -> str:
    name = row.get("system")
    return name if isinstance(name, str) and name else path.stem
