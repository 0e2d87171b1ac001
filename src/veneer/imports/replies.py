"""An answer as a row stores it: a text, a turn of the assistant, or the whole reply of a server."""

from __future__ import annotations

import json
import re
from typing import Any

from veneer.endpoint.finish import word_of
from veneer.endpoint.message import Message, read_message
from veneer.foundation.errors import InputError
from veneer.foundation.reading.turns import content_of, role_of, stored_chat
from veneer.imports.batches import choices_of

# under which keys the reason stands why an answer ended: OpenAI's, Anthropic's, Ollama's
ENDS = ("finish_reason", "stop_reason", "done_reason", "finish_reasons", "stop_reasons")
EXPECTED = "a text, or one turn of the assistant"
# a turn or a reply as a cell of a table holds it
_CELL = re.compile(r'\s*\{\s*"(role|content|choices|id|object|type)"\s*:')

Reply = tuple[Any, Any]  # the answer: a text, a Message or None; why it ended, None where unknown


def replies_in(value: Any, key: str, where: str) -> list[Reply]:
    """Return the answers that a value holds: those of a server's reply (a chat or text completion,
    Anthropic's message, OpenAI's Responses), that of a turn of the assistant, also written as JSON,
    or the value itself; None for a request that failed. Raises InputError for a turn that is not
    the assistant's."""
    if isinstance(value, str):
        value = _of_cell(value, key, where)
    if isinstance(value, dict):
        if value.get("error") and not value.get("choices") and not value.get("output"):
            return [(None, None)]
        if {"choices", "output"} & value.keys() or value.get("type") == "message":
            replies: list[Reply] = [(_read(c, where), end) for c, end in choices_of(value, where)]
            return replies or [(None, None)]
        if {"content", "text"} & value.keys():
            _check_role(value, where)
            return [(_read(value, where), end_of(value))]
    turns = value if isinstance(value, list) and value and isinstance(value[0], dict) else []
    if len(turns) == 1:
        _check_role(turns[0], where)
        return [(as_reply(turns[0], where), end_of(turns[0]))]
    if turns:
        raise InputError(f"{where} has {len(turns)} turns as its {key}; expected {EXPECTED}")
    return [(value, None)]


def end_of(facts: dict[str, Any]) -> Any:
    """Return why an answer ended, by the keys beside it: one reason, or a list for several answers;
    None where none is given."""
    stored = (facts.get(k) for k in ENDS)
    return next((r for r in stored if isinstance(r, list) or word_of(r) is not None), None)


def as_reply(turn: dict[str, Any], where: str) -> Message:
    """Return a turn of the assistant, read as an endpoint's reply is."""
    content = content_of(turn)
    if isinstance(content, dict):  # Arena-Hard's
        content = content.get("answer")
    if content is None and not {"content", "value"} & turn.keys():
        raise InputError(f"{where} ends with a turn without a content; expected {EXPECTED}")
    return _read({"message": {**turn, "content": content}}, where)


def _of_cell(text: str, key: str, where: str) -> Any:
    """Return the turn, the reply or the turns that a text holds as JSON; otherwise the text."""
    if key == "completion" and (turns := stored_chat(text, where)):  # TRL's
        return turns
    if not _CELL.match(text):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(value, dict):
        return text
    choices = value.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    turn = value.get("role") == "assistant" and "content" in value
    return value if turn or (isinstance(first, dict) and "message" in first) else text


def _check_role(turn: dict[str, Any], where: str) -> None:
    if (role := role_of(turn)) not in (None, "assistant"):
        raise InputError(f"{where} has a turn of {role!r} as its answer; expected {EXPECTED}")


def _read(choice: dict[str, Any], where: str) -> Message:
    try:
        return read_message(choice)
    except ValueError as error:
        raise InputError(
            f"{where} holds an answer that cannot be read ({error}); expected a text"
        ) from None
