"""Prompts from what a program has at hand: texts, chat messages, or prompts."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from veneer.foundation.errors import InputError
from veneer.prompts.files import prompt_of_row
from veneer.prompts.prompt import Prompt

# A text, the messages of one chat ({"role", "content"}), an object with "prompt" or "messages" and
# perhaps "id", or a prompt.
PromptLike = str | Sequence[Mapping[str, Any]] | Mapping[str, Any] | Prompt
Prompts = PromptLike | Iterable[PromptLike]
EXPECTED = 'a list of texts, of chats ([{"role": "user", "content": text}]), or of veneer.Prompt'


def as_prompts(given: Prompts) -> list[Prompt]:
    """Return prompts as they are, and anything else as a line of a prompt file is read
    (docs/files.md): what has no id of its own gets its number from 0.

    A single text, chat or prompt is a list of one. Raises InputError for anything else, for an
    empty text and for two equal ids.
    """
    if isinstance(given, str | Mapping | Prompt) or _is_chat(given):
        given = [given]  # type: ignore[list-item]
    if not isinstance(given, Iterable):
        raise InputError(f"found {type(given).__name__} as prompts; expected {EXPECTED}")
    items = list(given)
    notices: Counter[str] = Counter()
    prompts = [_prompt(item, number, notices) for number, item in enumerate(items)]
    ids = Counter((p.task, p.id) for p in prompts)
    if twice := [id for (_, id), count in ids.items() if count > 1]:
        raise InputError(f"two prompts have the id {twice[0]!r}; give each prompt its own id")
    for what, count in (+notices).items():
        logging.getLogger("veneer").warning("veneer: %d of the prompts: %s", count, what)
    return prompts


def _prompt(item: Any, number: int, notices: Counter[str]) -> Prompt:
    if isinstance(item, Prompt):
        return item
    where = f"prompt {number + 1}"
    if isinstance(item, str):
        row: Any = {"prompt": item}
    elif isinstance(item, Mapping):
        row = dict(item)
    elif isinstance(item, Sequence) and all(isinstance(turn, Mapping) for turn in item):
        row = {"messages": [dict(turn) for turn in item]}
    else:
        raise InputError(f"{where} is of the type {type(item).__name__}; expected {EXPECTED}")
    return prompt_of_row(where, number, row, None, None, notices)


def _is_chat(given: Any) -> bool:
    """Return whether this is the messages of one chat, not a list of prompts."""
    return (
        isinstance(given, Sequence)
        and len(given) > 0
        and all(isinstance(turn, Mapping) and {"role", "content"} <= turn.keys() for turn in given)
    )
