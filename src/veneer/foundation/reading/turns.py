"""Read stored chat turns: {"role", "content"}, ShareGPT's {"from", "value"}, contents in parts,
other names of the roles."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from veneer.foundation.errors import InputError

ROLES = ("system", "user", "assistant")
OTHER_NAMES = {
    "developer": "system",
    "human": "user",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
}
# under which keys a row stores a system text beside its turns (ShareGPT, Anthropic)
SYSTEM = ("system", "system_prompt")
TEXT_PARTS = ("text", "input_text", "output_text")
EXPECTED = f'{{"role": one of {", ".join(ROLES)}, "content": text}}'
_CHAT = re.compile(r"""\s*\[\s*\{\s*['"](role|content|from|value)['"]\s*:""")

Turns = tuple[dict[str, str], ...]


def chat_turns(where: str, turns: list[Any]) -> Turns:
    """Return turns as {"role": one of ROLES, "content": text}. Raises InputError that names the
    turn which is none, calls a tool, or holds anything but text."""
    return tuple(_turn(f"{where}, message {number}", turn) for number, turn in enumerate(turns, 1))


def of_user(where: str, turns: Turns) -> Turns:
    """Return the same turns. Raises InputError where the last one is not the user's: a model
    answers the user."""
    if not turns or turns[-1]["role"] != "user":
        what = f"ends with the turn of {turns[-1]['role']}" if turns else "has no messages"
        raise InputError(
            f"{where} {what}; expected a last message of the user, which the models answer"
        )
    return turns


def up_to_user(where: str, turns: Turns) -> Turns:
    """Return the turns up to the user's last one: in training data the last turn is the answer to
    be learnt."""
    last = max((i for i, t in enumerate(turns) if t["role"] == "user"), default=-1)
    return of_user(where, turns[: last + 1])


def with_system(where: str, turns: Turns, row: Mapping[str, Any]) -> Turns:
    """Return the turns behind the system text that their row stores beside them (`SYSTEM`), if
    there is one. Raises InputError where another one stands among them."""
    beside = next((t for k in SYSTEM if (t := text_of(row.get(k), where)) and t.strip()), None)
    own = [t["content"] for t in turns if t["role"] == "system"]
    if beside is None or beside in own:
        return turns
    if own:
        raise InputError(
            f"{where} has a system text beside its turns and another one among them; leave one of "
            "the two out"
        )
    return ({"role": "system", "content": beside}, *turns)


def text_of(content: Any, where: str) -> str | None:
    """Return a content as text: the text itself, or the texts of its parts with a line feed between
    them; None where it is neither. Raises InputError for a part that is no text (an image, a
    sound)."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    texts = []
    for block in content:
        kind = block.get("type", "text") if isinstance(block, dict) else "text"
        text = block.get("text") if isinstance(block, dict) else block
        if kind not in TEXT_PARTS or not isinstance(text, str):
            raise InputError(
                f"{where} holds a part of the type {kind!r}; expected texts alone, which are all "
                "that a language model reads"
            )
        texts.append(text)
    return "\n".join(texts) if texts else None


def role_of(turn: Any) -> Any:
    """Return the role of a stored turn under its usual name; None for what is no turn."""
    given = _given_role(turn) if isinstance(turn, dict) else None
    return OTHER_NAMES.get(given, given) if isinstance(given, str) else given


def content_of(turn: Mapping[str, Any]) -> Any:
    """Return the content of a stored turn, as it is stored."""
    return turn.get("content") if turn.get("content") is not None else turn.get("value")


def _given_role(turn: Mapping[str, Any]) -> Any:
    return turn.get("role") if turn.get("role") is not None else turn.get("from")


def tool_call(message: Mapping[str, Any]) -> Any:
    """Return the first call of a tool in a message; None where it calls none. A call whose name and
    arguments are empty is none: some servers write one beside every answer."""
    calls = message.get("tool_calls")
    listed = calls if isinstance(calls, list) else [calls] if calls else []
    single = message.get("function_call")
    every = [*listed, single] if single else listed
    return next((call for call in every if not _is_blank(call)), None)


def _is_blank(call: Any) -> bool:
    """Return whether a call has a name and perhaps arguments, all of them empty."""
    inner = call.get("function") if isinstance(call, dict) else None
    fields = inner if isinstance(inner, dict) else call
    return (
        isinstance(fields, dict)
        and {"name"} <= fields.keys() <= {"name", "arguments"}
        and not any(fields.values())
    )


def stored_chat(text: str, where: str) -> list[Any] | None:
    """Return the turns of a text that is a chat written as JSON, as tables hold it; None for any
    other text. Raises InputError for a chat that Python wrote ([{'role': ...}]), whose quotes are
    ambiguous."""
    if not _CHAT.match(text):
        return None
    try:
        turns = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(
            f"{where} holds a chat that is no JSON (Python's own spelling, perhaps); expected a "
            "text, or chat turns as JSON: write them with json.dumps"
        ) from None
    return turns if isinstance(turns, list) else None


def _turn(where: str, turn: Any) -> dict[str, str]:
    if not isinstance(turn, dict):
        raise InputError(f"{where}, is no chat turn; expected {EXPECTED}")
    given, role = _given_role(turn), role_of(turn)
    if role not in ROLES:
        what = f"of the role {given!r}" if isinstance(given, str) else "without a role"
        raise InputError(
            f"{where}, is no chat turn {what} that a prompt can have; expected {EXPECTED}"
        )
    if tool_call(turn) is not None:
        raise InputError(f"{where}, calls a tool; expected {EXPECTED}")
    content = text_of(content_of(turn), where)
    if content is None or not content.strip():
        raise InputError(f"{where}, is no chat turn with a text; expected {EXPECTED}")
    return {"role": role, "content": content}
