"""Samples that EleutherAI's lm-evaluation-harness logs (`--log_samples`: samples_TASK_DATE.jsonl), generation tasks only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from veneer.errors import InputError
from veneer.imports.imported import Imported, Rules
from veneer.imports.rows import get, objects
from veneer.prompts import Prompt

EXPECTED = 'an lm-eval sample: {"doc_id", "arguments", "resps": [[answer, ...]]}'


def read_lm_eval(path: Path, rules: Rules | None = None, system: str | None = None) -> Imported:
    """Repeats of a document are its samples. The log does not say why an answer ended. Raises InputError for tasks that score
    continuations (multiple choice): their log holds numbers, not answers."""
    found = Imported(str(path), "lm-eval", rules or Rules())
    name = system or path.parent.name or path.stem
    task = path.name.removeprefix("samples_").partition("_20")[0].removesuffix(".jsonl")
    seen: set[str] = set()
    rows = 0
    for number, row in objects(path, EXPECTED):
        where, rows = f"{path} line {number}", rows + 1
        id = str(get(row, "doc_id", (int, str), where, EXPECTED))
        if id in seen and "filter" in row:
            continue  # the same answers once more, under another filter
        seen.add(id)
        for text in _prompt_text(row.get("arguments")):
            found.prompts.append(Prompt.from_text(id, text, task=task))
        groups = get(row, "resps", list, where, EXPECTED)
        answers = [a for group in groups for a in (group if isinstance(group, list) else [group])]
        for sample, answer in enumerate(answers):
            if not isinstance(answer, str):
                raise InputError(f"{where} holds log-likelihoods, not answers; expected {EXPECTED} of a generation task")
            found.put(id, sample, name, answer, task=task)
    if not rows:
        raise InputError(f"{path} holds no rows; expected {EXPECTED} a line")
    return found


def _prompt_text(arguments: Any) -> list[str]:
    """The prompt of the first request, if it is there: {"gen_args_0": {"arg_0": text}} or [[text, ...], ...]."""
    first = next(iter(arguments.values()), None) if isinstance(arguments, dict) else None
    if isinstance(arguments, list) and arguments:
        first = arguments[0]
    text = first.get("arg_0") if isinstance(first, dict) else first[0] if isinstance(first, list) and first else None
    return [text] if isinstance(text, str) else []
