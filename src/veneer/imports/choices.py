"""A stored choice of a reply as an answer, read as an endpoint's reply is (docs/endpoints.md)."""

from __future__ import annotations

from typing import Any

from veneer.endpoint.failure import of_error
from veneer.endpoint.message import read_message
from veneer.foundation.errors import InputError
from veneer.imports.imported import BROKEN, TOOL, Imported

# parts of a reply that are the answer, its refusal, the thought before it, or a call of a tool
PARTS = {
    "text",
    "output_text",
    "refusal",
    "thinking",
    "redacted_thinking",
    "reasoning",
    "tool_use",
    "function_call",
    "custom_tool_call",
}


def put_choice(
    imported: Imported,
    prompt_id: str,
    sample_id: int,
    system: str,
    choice: dict[str, Any],
    finish: Any,
    where: str,
    *,
    task: str = "prompts",
) -> None:
    """Add the answer in a choice ({"message": {"content", ...}} or {"text"}): its text, or its
    refusal where it holds nothing else; its reasoning stands apart. A call of a tool, an error on
    the choice and a message without content are errors and are dropped. Raises InputError for a
    choice that is no text."""
    try:
        message = read_message(choice)
    except ValueError as error:
        raise InputError(
            f"{where} holds an answer that cannot be read ({error}); expected a text"
        ) from None
    text = message.content or message.refusal or message.content
    if choice.get("error") and of_error({"error": choice["error"]}) is not None:
        imported.dropped[BROKEN] += 1
    elif message.tool is not None:
        imported.dropped[TOOL] += 1
    elif text is None and message.reasoning is None:
        imported.dropped["error: no content"] += 1
    else:
        imported.put(
            prompt_id,
            sample_id,
            system,
            text or "",
            task=task,
            finish=finish,
            reasoning=message.reasoning,
        )


def of_parts(parts: list[Any]) -> dict[str, Any]:
    """Return a choice of the parts of a content that `put_choice` reads. Others, such as what a
    server's own tools found before the answer, are left out."""
    return {
        "message": {"content": [p for p in parts if isinstance(p, dict) and p.get("type") in PARTS]}
    }
