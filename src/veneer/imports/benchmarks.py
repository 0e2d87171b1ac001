"""Answers as benchmarks store them: AlpacaEval's outputs, MT-bench's and Arena-Hard's model
answers, HarmBench's completions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.imports.imported import Imported, Rules
from veneer.imports.rows import an_object, get, objects

ALPACA = 'an AlpacaEval output: {"instruction": text, "output": text, "generator": name}'
TURNS = 'a model answer: {"question_id", "model_id", "choices": [{"turns": [text]}]}'
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
        given = row.get("generator")
        name = given if isinstance(given, str) and given else path.stem
        sample = samples.get((name, id), 0)
        samples[name, id] = sample + 1
        _put(imported, id, sample, name, row, "output", where, ALPACA)
    return _with_rows(imported, len(ids), ALPACA)


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
        name = model if isinstance(model, str) and model else path.stem
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
                _put(imported, id, sample, path.stem, row, "generation", place, HARM)
    return _with_rows(imported, rows, HARM)


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
