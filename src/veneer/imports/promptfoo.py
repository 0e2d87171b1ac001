"""Results of promptfoo (`promptfoo eval --output results.json` or `.jsonl`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.reading.content import stem
from veneer.foundation.reading.turns import Turns, chat_turns, of_user, stored_chat
from veneer.imports.imported import Imported, Rules
from veneer.imports.rows import an_object, get, objects

EXPECTED = (
    'promptfoo\'s results: {"results": {"results": [{"prompt": {"raw"}, "response": {"output"}, '
    '"provider"}, ...]}}, or one of these per line'
)
# What an attack in several steps leaves in a result: its answer is not the answer to "prompt".
STEPS = ("redteamHistory", "redteamTreeHistory", "redteamFinalPrompt", "messages")


def read_promptfoo(path: Path, rules: Rules | None = None) -> Imported:
    """Read results; each provider is a system, and repeats are samples. A prompt's id is its
    number; the prompt is the text that was sent, with its variables filled in.

    A test that failed has an answer: its "error" gives the reason of the failed assertion. A
    request that failed has none, and is dropped. Raises InputError for results of attacks in
    several steps, for answers that a provider turned into JSON, and for two providers of one name:
    promptIdx numbers the pairs of prompt and provider.
    """
    imported = Imported(str(path), "promptfoo", rules or Rules(), numbered=True)
    ids: dict[str, str] = {}
    samples: Counter[tuple[str, str]] = Counter()
    columns: dict[tuple[str, str, str], tuple[Any, str]] = {}
    for where, row in _results(path):
        response = row.get("response")
        response = response if isinstance(response, dict) else {}
        turns = _prompt(row, response, where)
        id = ids.setdefault(str(turns), str(len(ids)))
        imported.put_prompt(id, turns, where)
        output = response.get("output")
        if response.get("error") or output is None:
            imported.dropped["error: the request failed"] += 1
            continue
        if not isinstance(output, str):
            raise InputError(
                f"{where} has an output that is no text but {type(output).__name__}; expected "
                "answers as the model gave them: run promptfoo without a transform"
            )
        name = _provider(row) or stem(path)
        column = row.get("promptIdx")
        first, place = columns.setdefault((name, id, str(row["prompt"])), (column, where))
        if first != column:
            raise InputError(
                f"{where} is an answer of {name!r} to the same prompt as {place}, by another "
                "provider of the same name; give each provider its own label and run promptfoo "
                "again"
            )
        imported.put(
            id,
            samples[name, id],
            name,
            output,
            finish=response.get("finishReason"),
        )
        samples[name, id] += 1
    if not ids:
        raise InputError(f"{path} holds no results; expected {EXPECTED}")
    return imported


def _results(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for where, row in objects(path, EXPECTED):
        whole = row.get("results")
        rows = whole.get("results") if isinstance(whole, dict) else whole
        if rows is None:
            yield where, row
            continue
        if not isinstance(rows, list):
            raise InputError(f"{where} has no list of results; expected {EXPECTED}")
        for number, result in enumerate(rows, 1):
            place = f"{where}, result {number}"
            yield place, an_object(result, place, EXPECTED)


def _prompt(row: dict[str, Any], response: dict[str, Any], where: str) -> Turns:
    """Return what the provider sent, which it may report itself."""
    for facts in (row.get("metadata"), response.get("metadata")):
        step = next((k for k in STEPS if isinstance(facts, dict) and facts.get(k)), None)
        if step is not None:
            raise InputError(
                f'{where} comes from an attack in several steps ("{step}"), so its answer is not '
                "the answer to its prompt; expected results of one prompt each: leave these out"
            )
    sent = response.get("prompt")
    if not sent:
        sent = get(get(row, "prompt", dict, where, EXPECTED), "raw", str, where, EXPECTED)
    chat = stored_chat(sent, where) if isinstance(sent, str) else sent
    if isinstance(chat, list):
        return of_user(where, chat_turns(where, chat))
    if not isinstance(sent, str):
        raise InputError(f"{where} has a prompt that is no text; expected {EXPECTED}")
    return ({"role": "user", "content": sent},)


def _provider(row: dict[str, Any]) -> str:
    """Return the label of a provider, otherwise its id; old files store the id alone."""
    provider = row.get("provider")
    if isinstance(provider, dict):
        provider = provider.get("label") or provider.get("id")
    return provider if isinstance(provider, str) else ""
