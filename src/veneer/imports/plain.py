"""Plain rows of answers: one object per answer or per prompt, whole chats, and the files of `veneer
generate`."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from veneer.endpoint.message import Message, reasoning_of
from veneer.foundation.errors import InputError
from veneer.foundation.reading import as_id
from veneer.foundation.reading.content import ending, stem
from veneer.foundation.reading.turns import (
    Turns,
    chat_turns,
    of_user,
    role_of,
    stored_chat,
    with_system,
)
from veneer.imports.imported import TOOL, Imported, Rules
from veneer.imports.replies import Reply, as_reply, end_of, replies_in
from veneer.imports.rows import objects
from veneer.imports.together import join_row_ids, refuse_lists
from veneer.prompts.files import check_beside

EXPECTED = (
    '{"prompt" or "prompt_id", "text": answer or "responses": [answers]}, or a chat that ends '
    "with the answer"
)
# under which key an answer stands; a row has one of them
ANSWERS = ("text", "response", "completion", "output", "generation", "generated_text")
# under which key several answers stand: the second is vLLM's
LISTS = ("responses", "outputs")
# under which key the prompt stands, first the one that was read: StrongREJECT's forbidden prompts
# are wrapped in jailbreaks
PROMPTS = ("jailbroken_prompt", "prompt", "forbidden_prompt")
CHATS = ("messages", "conversations", "conversation")
# under which keys engines store why an answer ended with other facts of the answer: SGLang's, TGI's
FACTS = ("meta_info", "details")
# under which keys files name the model that answered, where they do not say "system"
MODELS = ("model", "model_id", "model_name", "generator")
TABLES = (".csv", ".tsv", ".tab")
# a system text, and not a name: several words that end as a sentence, or stand on several lines
SENTENCE = re.compile(
    r"\s*(\S+\s+){2}.*[.!?:]\s*$|\s*You are\s|(?=\s*(\S+\s+){3}).*\S\s*\n\s*\S", re.DOTALL
)
NO_ERROR = ("", "none", "null", "nan", "false", "0", "0.0", "[]", "{}")


def read_plain(path: Path, rules: Rules | None = None) -> Imported:
    """Read one row per answer ({"prompt_id" and/or "prompt", "text", optionally "sample_id",
    "finish_reason", "system", "task"}), one row per prompt ({..., "responses": [text, ...]}), or
    one row per chat, whose last turn is the answer ({"messages"} or {"conversations"}).

    Where each "id" is that of one row and prompts of one text have several, ids number the
    answers: prompts have the first of theirs. An answer of null, or a row with "error", is an
    error and is dropped. Prompts without an id are
    numbered from 0 in the order in which their texts first occur. Without a sample number, samples
    of a prompt are numbered in their order.
    """
    imported = Imported(str(path), "jsonl", rules or Rules())
    ids: dict[tuple[tuple[str, str], ...], str] = {}
    samples: Counter[tuple[str, str]] = Counter()
    rows, names = 0, False
    for where, row in objects(path, EXPECTED):
        rows += 1
        names = names or "prompt_id" in row or "sample_id" in row
        replies, turns, thought = _answers(row, where)
        id = _id(row, where, turns, ids)
        imported.numbered = bool(ids)
        if turns is not None:
            imported.put_prompt(id, turns, where)
        given = _sample(row, where)
        name = _name(row, path, where)
        for (answer, _), finish in zip(replies, _ends(row, replies, where), strict=True):
            sample = samples[name, id] if given is None else given
            samples[name, id] += 1
            _put(imported, row, answer, finish, id, sample, name, where, thought)
    if not rows:
        raise InputError(f"{path} holds no rows; expected {EXPECTED} per line")
    if not names:
        join_row_ids(imported)
    if ending(path) in TABLES:
        refuse_lists(imported)
    return imported


def _answers(row: dict[str, Any], where: str) -> tuple[list[Reply], Turns | None, str]:
    """Return (the answers of a row, the prompt that it stores, the thought before an answer)."""
    keys = _answer_keys(row)
    chat = next((k for k in CHATS if row.get(k) is not None), None)
    if keys == ["generated_text"] and len(_chat(row["generated_text"], where)) > 1:
        chat, keys = "generated_text", []  # of transformers' pipeline
    if chat is not None and not keys:
        value = _chat(row[chat], where)
        if len(value) < 2 or role_of(value[-1]) != "assistant":
            raise InputError(
                f"{where} has a chat that does not end with the assistant's answer; "
                f"expected {EXPECTED}"
            )
        turns = _turns(chat, {**row, chat: value[:-1]}, where)
        return [(as_reply(value[-1], where), None)], of_user(where, turns), ""
    if len(keys) > 1:
        raise InputError(
            f"{where} has {' and '.join(map(repr, keys))}, and only one can be the answer; "
            f"expected {EXPECTED}"
        )
    key = keys[0] if keys else ""
    several = key in LISTS
    values = row[key] if several else [row.get(key)]
    if not isinstance(values, list):
        raise InputError(f"{where} has {key} that are no list; expected {EXPECTED}")
    if {"completion", "label"} <= row.keys() and str(row["label"]).lower() == "false":
        raise InputError(
            f"{where} has the label {row['label']!r}, which marks an unwanted answer in a set for "
            "TRL's KTO; leave such rows out, or the label"
        )
    replies = [reply for value in values for reply in replies_in(value, key, where)]
    stored = next((k for k in PROMPTS if row.get(k) is not None), None)
    return replies, _prompt(row, stored or chat or "prompt", where), reasoning_of(row)


def _prompt(row: dict[str, Any], key: str, where: str) -> Turns | None:
    value = row.get(key)
    if value is None:
        return None
    # beside an answer, "system" is the name of the system that gave it
    turns = _turns(key, {**row, "system": None}, where)
    if turns:
        return of_user(where, turns)
    if not isinstance(value, str):
        raise InputError(f"{where} has a prompt that is no text; expected {EXPECTED}")
    return ({"role": "user", "content": value},)


def _chat(value: Any, where: str) -> list[Any]:
    """Return a chat as it is stored; nothing where the value is none."""
    chat = stored_chat(value, where) if isinstance(value, str) else value
    return chat if isinstance(chat, list) and chat and isinstance(chat[0], dict) else []


def _turns(key: str, row: dict[str, Any], where: str) -> Turns:
    """Return the turns of the chat under a key; nothing where the value is no chat."""
    chat = _chat(row[key], where)
    check_beside(where, key, row, chat=bool(chat))
    return with_system(where, chat_turns(where, chat), row) if chat else ()


def _id(
    row: dict[str, Any],
    where: str,
    turns: Turns | None,
    ids: dict[tuple[tuple[str, str], ...], str],
) -> str:
    """Return the row's own id, otherwise the number of its prompt."""
    id = row.get("prompt_id", row.get("id"))
    if id is not None and as_id(id) is None:
        raise InputError(
            f"{where} has a prompt_id that is neither a text nor a whole number; "
            f"expected {EXPECTED}"
        )
    if id is None and turns is None:
        keys = ", ".join(map(str, row)) or "none"
        raise InputError(
            f"{where} does not name the prompt that it answers (its keys are {keys}); "
            f"expected {EXPECTED}: rename the key that holds the prompt"
        )
    if (own := as_id(id)) is not None:
        return own
    assert turns is not None
    key = tuple((t["role"], t["content"]) for t in turns)
    return ids.setdefault(key, str(len(ids)))


def _sample(row: dict[str, Any], where: str) -> int | None:
    """Return the row's sample number; a table's cell holds it as digits."""
    given = row.get("sample_id")
    if isinstance(given, str) and given.isascii() and given.isdigit():
        given = int(given)
    if given is not None and (
        any(k in row for k in LISTS)
        or isinstance(given, bool)
        or not isinstance(given, int)
        or given < 0
    ):
        raise InputError(
            f"{where} has the sample_id {str(given)[:40]!r}; expected a whole number from 0 "
            "beside one answer"
        )
    return given


def _put(
    imported: Imported,
    row: dict[str, Any],
    answer: Any,
    finish: Any,
    id: str,
    sample: int,
    system: str,
    where: str,
    thought: str,
) -> None:
    failed = _says_error(row.get("error"))
    if isinstance(answer, Message):
        if answer.tool is not None and not failed:
            imported.dropped[TOOL] += 1
            return
        thought = answer.reasoning or ""
        answer = answer.content or answer.refusal or ("" if thought else answer.content)
        failed = failed or answer is None
    if failed or (answer is None and ("error" in row or _answer_keys(row))):
        imported.dropped["error: no answer"] += 1
        return
    if not isinstance(answer, str):
        keys = ", ".join(map(str, row)) or "none"
        raise InputError(
            f"{where} has no answer that is a text (its keys are {keys}); expected {EXPECTED}"
        )
    task, seed = row.get("task"), row.get("seed")
    imported.put(
        id,
        sample,
        system,
        answer,
        task=task if isinstance(task, str) else "prompts",
        finish=finish,
        seed=seed if isinstance(seed, int) else 0,
        reasoning=thought or None,
    )


def _ends(row: dict[str, Any], replies: list[Reply], where: str) -> list[Any]:
    """Return why each of the answers of a row ended: its own reason, or the row's, which is one for
    all or a list of them."""
    facts = next((f for k in FACTS if isinstance(f := row.get(k), dict)), {})
    reason = end_of(row) or end_of(facts)
    reasons = reason if isinstance(reason, list) else [reason] * len(replies)
    if len(reasons) != len(replies):
        raise InputError(
            f"{where} has {len(reasons)} reasons why its answers ended, and {len(replies)} "
            "answers; expected one for each answer"
        )
    return [own or given for (_, own), given in zip(replies, reasons, strict=True)]


def _says_error(value: Any) -> bool:
    """Return whether a row's "error" is one; a table writes in words that there is none. A number
    is a code, such as 429."""
    if isinstance(value, str):
        return value.strip().lower() not in NO_ERROR
    return isinstance(value, dict | list | bool | int) and bool(value)


def _name(row: dict[str, Any], path: Path, where: str) -> str:
    """Return the name of the system that answered; beside a chat, "system" is its system text.
    Raises InputError for a system text beside an answer: the prompt would lose it."""
    given = row.get("system") if _answer_keys(row) else None
    if isinstance(given, str) and SENTENCE.match(given):
        raise InputError(
            f'{where} has "system": {given[:60]!r}, a text that the model read; expected the name '
            "of the system that answered there: write the text as a turn of the prompt "
            '("messages"), or leave it out'
        )
    names = [row.get(k) for k in ("system", *MODELS) if k != "system" or _answer_keys(row)]
    # a server's reply names its model
    names += [reply.get("model") for k in _answer_keys(row) if isinstance(reply := row[k], dict)]
    return next((n for n in names if isinstance(n, str) and n), stem(path))


def _answer_keys(row: dict[str, Any]) -> list[str]:
    return [k for k in (*ANSWERS, *LISTS) if k in row]
