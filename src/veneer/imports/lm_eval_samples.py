"""Samples that EleutherAI's lm-evaluation-harness logs (`--log_samples`: samples_TASK_DATE.jsonl),
generation tasks only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.reading.content import stem
from veneer.foundation.reading.turns import Turns, chat_turns, of_user, stored_chat
from veneer.imports.imported import Imported, Rules
from veneer.imports.rows import get, objects

EXPECTED = 'an lm-eval sample: {"doc_id", "arguments", "resps": [[answer, ...]]}'


def read_lm_eval(path: Path, rules: Rules | None = None) -> Imported:
    """Read samples; repeats of a document are its samples. The log does not store why an answer
    ended.

    The prompts are those that the model read, turn by turn where the log holds chat messages:
    answers are matched by them, because a doc_id counts the documents of the task and not the
    prompts of any file. Raises InputError for tasks that score continuations (multiple choice,
    perplexity), whose log holds numbers and not answers, and for rows whose prompt cannot be read.
    """
    imported = Imported(str(path), "lm-eval", rules or Rules())
    name = path.parent.name or stem(path)
    task = path.name.removeprefix("samples_").partition("_20")[0].partition(".jsonl")[0]
    seen: dict[str, tuple[str, list[Any]]] = {}
    for where, row in objects(path, EXPECTED):
        id = str(get(row, "doc_id", (int, str), where, EXPECTED))
        groups = get(row, "resps", list, where, EXPECTED)
        answers = [a for group in groups for a in (group if isinstance(group, list) else [group])]
        if not all(isinstance(a, str) for a in answers):
            raise InputError(
                f"{where} holds log-likelihoods, not answers; expected {EXPECTED} of a "
                "generation task"
            )
        turns = _prompt(row.get("arguments"), where)
        imported.put_prompt(
            id, turns, where, plain=turns[0]["content"] if len(turns) == 1 else None, task=task
        )
        if id in seen and "filter" in row:
            if seen[id][1] != groups:
                raise InputError(
                    f"{where} has other answers to document {id} than {seen[id][0]}; give the log "
                    "of one run alone"
                )
            continue  # the same answers once more, under another filter
        seen[id] = (where, groups)
        for sample, answer in enumerate(answers):
            imported.put(id, sample, name, answer, task=task)
    if not seen:
        raise InputError(f"{path} holds no rows; expected {EXPECTED} per line")
    return imported


def _prompt(arguments: Any, where: str) -> Turns:
    """Return the model's input: {"gen_args_0": {"arg_0": prompt, "arg_1": settings}}, or [[prompt,
    settings], ...] in older versions."""
    requests = list(arguments.values()) if isinstance(arguments, dict) else arguments
    if not isinstance(requests, list) or not requests:
        raise InputError(
            f'{where} has no "arguments", so that its prompt is unknown; expected {EXPECTED}'
        )
    prompts = [_request(request, where) for request in requests]
    if any(p != prompts[0] for p in prompts):
        raise InputError(
            f"{where} has {len(prompts)} requests with different prompts; expected one prompt "
            "per document"
        )
    return prompts[0]


def _request(request: Any, where: str) -> Turns:
    parts = (
        [request[k] for k in sorted(request)]
        if isinstance(request, dict)
        else request
        if isinstance(request, list)
        else [request]
    )
    if len(parts) < 2 or not isinstance(parts[1], dict):
        raise InputError(
            f"{where} holds log-likelihoods, not answers; expected {EXPECTED} of a generation task"
        )
    if any(parts[2:]):
        raise InputError(
            f"{where} has a prompt that is more than text (images, perhaps); expected {EXPECTED}, "
            "of a task of texts"
        )
    text = parts[0]
    if isinstance(text, list) and len(text) == 1 and isinstance(text[0], str):
        text = text[0]  # chat messages are logged as a tuple of one text
    chat = (
        stored_chat(text, where)
        if isinstance(text, str)
        else text
        if isinstance(text, list)
        else None
    )
    if chat is not None:
        return of_user(where, chat_turns(where, chat))
    if not isinstance(text, str) or not text:
        raise InputError(f"{where} has a prompt that is no text; expected {EXPECTED}")
    return ({"role": "user", "content": text},)
