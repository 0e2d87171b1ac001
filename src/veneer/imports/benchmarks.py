"""Answers as benchmarks store them: AlpacaEval's and WildBench's outputs, MT-bench's and
Arena-Hard's model answers, HarmBench's completions, JailbreakBench's artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.reading.content import stem
from veneer.imports.imported import Imported, Rules
from veneer.imports.rows import an_object, get, objects

ALPACA = 'an AlpacaEval output: {"instruction": text, "output": text, "generator": name}'
TURNS = 'a model answer: {"question_id", "model_id", "choices": [{"turns": [text]}]}'
WILD = (
    'a WildBench output: {"session_id": text, "chat_history": [texts of user and assistant in '
    'turn], "output": [texts], "generator": name}'
)
JAILBREAKS = (
    'an artifact of JailbreakBench: {"parameters": {"model": name}, "jailbreaks": [{"index": '
    'number, "prompt": text, "response": text}, ...]}'
)
HARM = (
    'HarmBench completions: {"behaviour id": [{"test_case": text, "generation": text}, ...], ...}'
)


def read_alpaca_eval(path: Path, rules: Rules | None = None) -> Imported:
    """Read AlpacaEval's outputs; the prompt is the instruction. Raises InputError for a row with an
    input: the file does not store the form in which the model read it."""
    imported = Imported(str(path), "alpaca-eval", rules or Rules(), numbered=True)
    ids: dict[str, str] = {}
    samples: dict[tuple[str, str], int] = {}
    for where, row in objects(path, ALPACA):
        text = get(row, "instruction", str, where, ALPACA)
        if isinstance(row.get("input"), str) and row["input"].strip():
            raise InputError(
                f'{where} has an "input" beside its instruction, and not the text that the model '
                f"read; expected {ALPACA}"
            )
        id = ids.setdefault(text, str(len(ids)))
        imported.put_prompt(id, ({"role": "user", "content": text},), where)
        name = _generator(row, path)
        for output in _outputs(row):
            sample = samples.get((name, id), 0)
            samples[name, id] = sample + 1
            _put(imported, id, sample, name, {"output": output}, "output", where, ALPACA)
    return _with_rows(imported, len(ids), ALPACA)


def read_wildbench(path: Path, rules: Rules | None = None) -> Imported:
    """Read WildBench's outputs. The prompt is the chat so far, whose texts are by turns the user's
    and the assistant's; its id is the session's; outputs are samples. Raises InputError for a chat
    that does not end with the user."""
    imported = Imported(str(path), "wildbench", rules or Rules())
    rows = 0
    for where, row in objects(path, WILD):
        rows += 1
        id, chat = (
            get(row, "session_id", str, where, WILD),
            get(row, "chat_history", list, where, WILD),
        )
        if len(chat) % 2 == 0 or not all(isinstance(text, str) for text in chat):
            raise InputError(
                f"{where} has a chat of {len(chat)} texts; expected an odd number, of which the "
                f"first and the last are the user's: {WILD}"
            )
        roles = ("user", "assistant")
        turns = tuple({"role": roles[i % 2], "content": text} for i, text in enumerate(chat))
        imported.put_prompt(id, turns, where)
        for sample, output in enumerate(_outputs(row)):
            name = _generator(row, path)
            _put(imported, id, sample, name, {"output": output}, "output", where, WILD)
    return _with_rows(imported, rows, WILD)


def read_jailbreakbench(path: Path, rules: Rules | None = None) -> Imported:
    """Read an artifact of JailbreakBench: the prompts that an attack found, with the model's
    answers. A goal for which it found none has neither; it is dropped and counted."""
    imported = Imported(str(path), "jailbreakbench", rules or Rules())
    rows = 0
    for place, whole in objects(path, JAILBREAKS):
        model = get(whole, "parameters", dict, place, JAILBREAKS).get("model")
        for number, row in enumerate(get(whole, "jailbreaks", list, place, JAILBREAKS), 1):
            rows, where = rows + 1, f"{place}, jailbreak {number}"
            id = str(get(an_object(row, where, JAILBREAKS), "index", int, where, JAILBREAKS))
            if row.get("prompt") is None and row.get("response") is None:
                imported.dropped["the attack found no prompt"] += 1
                continue
            prompt = get(row, "prompt", str, where, JAILBREAKS)
            imported.put_prompt(id, ({"role": "user", "content": prompt},), where)
            name = model if isinstance(model, str) and model else stem(path)
            _put(imported, id, 0, name, row, "response", where, JAILBREAKS)
    return _with_rows(imported, rows, JAILBREAKS)


def read_model_answers(path: Path, rules: Rules | None = None) -> Imported:
    """Read model answers; choices are samples.

    The file holds no prompts: an answer belongs to the prompt whose id is the question_id. Raises
    InputError for answers of several turns, of which all but the first answer a conversation and no
    prompt.
    """
    imported = Imported(str(path), "model-answers", rules or Rules())
    rows = 0
    for where, row in objects(path, TURNS):
        rows += 1
        id, model = str(get(row, "question_id", (str, int), where, TURNS)), row.get("model_id")
        name = model if isinstance(model, str) and model else stem(path)
        for sample, choice in enumerate(get(row, "choices", list, where, TURNS)):
            turns = get(an_object(choice, where, TURNS), "turns", list, where, TURNS)
            if len(turns) != 1:
                raise InputError(
                    f"{where} holds an answer of {len(turns)} turns, of which each answers the "
                    f"talk so far; expected {TURNS}"
                )
            turn = (
                turns[0].get("content", turns[0].get("answer"))
                if isinstance(turns[0], dict)
                else turns[0]
            )
            text = turn.get("answer") if isinstance(turn, dict) else turn
            _put(imported, id, sample, name, {"turn": text}, "turn", where, TURNS)
    return _with_rows(imported, rows, TURNS)


def read_harmbench(path: Path, rules: Rules | None = None) -> Imported:
    """Read HarmBench's completions. Each test case is a prompt; its id is the behaviour's where it
    is the only one, otherwise followed by its number."""
    imported = Imported(str(path), "harmbench", rules or Rules())
    rows = 0
    for where, whole in objects(path, HARM):
        for behaviour, cases in whole.items():
            ids: dict[str, str] = {}
            samples: dict[str, int] = {}
            place = f"{where}, behaviour {behaviour!r}"
            rows_here = [
                an_object(c, place, HARM) for c in (cases if isinstance(cases, list) else [cases])
            ]
            texts = [get(row, "test_case", str, place, HARM) for row in rows_here]
            several = len(set(texts)) > 1
            for text, row in zip(texts, rows_here, strict=True):
                rows += 1
                id = ids.setdefault(text, f"{behaviour}/{len(ids)}" if several else behaviour)
                imported.put_prompt(id, ({"role": "user", "content": text},), place)
                sample = samples.get(id, 0)
                samples[id] = sample + 1
                _put(imported, id, sample, stem(path), row, "generation", place, HARM)
    return _with_rows(imported, rows, HARM)


def _generator(row: dict[str, Any], path: Path) -> str:
    given = row.get("generator")
    return given if isinstance(given, str) and given else stem(path)


def _outputs(row: dict[str, Any]) -> list[Any]:
    """Return the answers of a row, which may be one text or a list of samples."""
    output = row.get("output")
    return output if isinstance(output, list) else [output]


def _put(
    imported: Imported,
    id: str,
    sample: int,
    system: str,
    row: dict[str, Any],
    key: str,
    where: str,
    expected: str,
) -> None:
    """Add the answer under a key; one of null is an error and is dropped."""
    if row.get(key, "") is None:
        imported.dropped["error: no answer"] += 1
    else:
        imported.put(id, sample, system, get(row, key, str, where, expected))


def _with_rows(imported: Imported, rows: int, expected: str) -> Imported:
    if not rows:
        raise InputError(f"{imported.source} holds no rows; expected {expected}")
    return imported
