"""The report of NVIDIA's garak (NAME.report.jsonl): prompts of its probes and a model's answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.reading.content import stem
from veneer.foundation.reading.turns import Turns, chat_turns, of_user
from veneer.imports.imported import Imported, Rules
from veneer.imports.rows import get, objects

EXPECTED = (
    'a report of garak, with rows {"entry_type": "attempt", "prompt", "outputs": [answer, ...]}'
)
# the kinds of rows with which a report can begin
ENTRIES = ("start_run setup", "init", "config", "attempt")
NAMES = ("plugins.target_name", "plugins.model_name")  # the tested model, by version


def read_garak(path: Path, rules: Rules | None = None) -> Imported:
    """Read a report; the generations of an attempt are samples, and a prompt's id is its number.

    garak writes an attempt once when it is answered and once more when it is scored: the last row
    of each attempt counts. Raises InputError for attempts of several turns, whose later prompts
    the report stores only inside the talk, and for prompts that are more than text.
    """
    imported = Imported(str(path), "garak", rules or Rules(), numbered=True)
    attempts: dict[str, tuple[str, dict[str, Any]]] = {}
    name = stem(path)
    for where, row in objects(path, EXPECTED):
        name = next((n for k in NAMES if isinstance(n := row.get(k), str) and n), name)
        if row.get("entry_type") == "attempt":
            attempts[str(row.get("uuid", where))] = where, row
    if not attempts:
        raise InputError(f"{path} holds no attempts; expected {EXPECTED}")
    ids: dict[str, str] = {}
    samples: dict[str, int] = {}
    for where, row in attempts.values():
        turns = _prompt(row, where)
        id = ids.setdefault(str(turns), str(len(ids)))
        imported.put_prompt(id, turns, where)
        for output in get(row, "outputs", list, where, EXPECTED):
            answer = None if output is None else _text(output, f"{where}, outputs")
            if answer is None:
                imported.dropped["error: no answer"] += 1
                continue
            sample = samples.get(id, 0)
            samples[id] = sample + 1
            imported.put(id, sample, name, answer)
    return imported


def _prompt(row: dict[str, Any], where: str) -> Turns:
    """Return what the model read: a text, a message {"text"}, or a talk {"turns"}, by version."""
    prompt = row.get("prompt")
    turns = prompt.get("turns") if isinstance(prompt, dict) else None
    if not isinstance(turns, list):
        turns = [{"role": "user", "content": prompt}]
    if any(_answers(history) > _answers(turns) + 1 for history in _histories(row)):
        raise InputError(
            f"{where} holds an attempt of several turns, of which each answers the talk so far; "
            "expected attempts of one prompt and its answers: leave these rows out"
        )
    read = []
    for turn in turns:
        if not isinstance(turn, dict):
            raise InputError(f"{where} has a prompt that cannot be read; expected {EXPECTED}")
        read.append({**turn, "content": _text(turn.get("content"), f"{where}, prompt")})
    return of_user(where, chat_turns(where, read))


def _histories(row: dict[str, Any]) -> list[list[Any]]:
    """Return the talks of an attempt, one per generation."""
    stored = row.get("conversations", row.get("messages"))
    talks = [
        t.get("turns") if isinstance(t, dict) else t
        for t in (stored if isinstance(stored, list) else [])
    ]
    return [t for t in talks if isinstance(t, list)]


def _answers(turns: list[Any]) -> int:
    return sum(isinstance(t, dict) and t.get("role") == "assistant" for t in turns)


def _text(value: Any, where: str) -> str | None:
    """Return the text of a message; None where it has none. Raises InputError for a message with a
    picture or a sound, and for what is no message."""
    if isinstance(value, dict):
        if value.get("data_path"):
            raise InputError(f"{where}, is more than text (a file is attached); expected a text")
        value = value.get("text")
    if value is not None and not isinstance(value, str):
        raise InputError(f"{where}, is no text; expected {EXPECTED}")
    return value
