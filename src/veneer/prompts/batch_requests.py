"""Prompts that are the requests of a batch service, in OpenAI's form and in Anthropic's."""

from __future__ import annotations

from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.reading import as_id

EXPECTED = (
    '{"custom_id", "url", "body": {"messages": [chat turns]}} or {"custom_id", "params": '
    '{"messages": [chat turns]}}'
)
# what a body names that stands on the server, and that belongs to its prompt
ELSEWHERE = ("previous_response_id", "conversation")


def is_request(row: Any) -> bool:
    """Return whether a row of a prompt file is a request of a batch."""
    return isinstance(row, dict) and "custom_id" in row and isinstance(_body(row), dict)


def as_prompt_row(where: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a prompt file that a request stands for: its custom_id is the id, its
    messages, its prompt or its input is the prompt. Raises InputError for a request without these,
    and for one that continues a talk which the server keeps."""
    id, body, url = as_id(row["custom_id"]), _body(row), row.get("url")
    if id is None:
        raise InputError(f"{where} has the custom_id {row['custom_id']!r}; expected a text")
    if kept := next((k for k in ELSEWHERE if body.get(k)), None):
        raise InputError(
            f'{where} has a request that continues another one ("{kept}"); expected {EXPECTED}, '
            "with all turns"
        )
    beside = {k: body[k] for k in ("tools", "functions", "system") if k in body}
    for key in ("messages", "prompt"):
        if body.get(key) is not None:
            return {"id": id, key: body[key], **beside}
    if body.get("input") is None or not str(url).rstrip("/").endswith("/responses"):
        raise InputError(f"{where} has a request to {url!r} without messages; expected {EXPECTED}")
    turns = body["input"]
    if isinstance(turns, str):
        turns = [{"role": "user", "content": turns}]
    return {"id": id, "messages": turns, **beside, "system": body.get("instructions")}


def _body(row: dict[str, Any]) -> Any:
    """Return what a request asks; Anthropic calls it params."""
    return row.get("body", row.get("params"))
