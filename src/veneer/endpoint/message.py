"""Read the message of a choice: answer, reasoning, refusal, or a tool call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from veneer.foundation.reading.turns import tool_call

_REASONING = (
    "reasoning_content",
    "reasoning",
    "thinking",
    "reasoning_text",
    "reasoning_details",
    "thinking_blocks",
)
_THOUGHTS = {
    "thinking",
    "reasoning",
    "reasoning_content",
    "reasoning_text",
    "redacted_thinking",
    "reasoning.text",
    "reasoning.summary",
}
_TEXTS = {"text", "output_text", None}
_CALLS = {"tool_use", "tool_call", "function_call", "custom_tool_call", "server_tool_use"}


@dataclass(frozen=True)
class Message:
    """content: the answer's text, None where there is none. reasoning: the model's thoughts before
    it. refusal: the refusal, where the server separates it. tool: the name of a tool that it
    called, "" for one without a name, None where it called none."""

    content: str | None
    reasoning: str | None
    refusal: str | None
    tool: str | None


def read_message(choice: dict[str, Any]) -> Message:
    """Return the message of a choice of a chat or text completion, or of a chunk. Raises ValueError
    for a form that is neither."""
    message = next(
        (choice[k] for k in ("message", "delta") if isinstance(choice.get(k), dict)), choice
    )
    if message is choice and choice.get("message") is not None:
        raise ValueError("a choice without a message")
    content, refusal = message.get("content", message.get("text")), message.get("refusal")
    blocks = _Content()
    if isinstance(content, list):
        for block in content:
            blocks.take(block)
        content = "".join(blocks.texts) if blocks.texts else None
    elif content is not None and not isinstance(content, str):
        raise ValueError(f"content that is no text but {type(content).__name__}")
    refusal = refusal if isinstance(refusal, str) and refusal else "".join(blocks.refusals) or None
    thought = reasoning_of(message) or "".join(blocks.thoughts)
    return Message(
        content, thought or None, refusal, _tool(message) if blocks.tool is None else blocks.tool
    )


class _Content:
    """Content in blocks, sorted by kind."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.refusals: list[str] = []
        self.thoughts: list[str] = []
        self.tool: str | None = None

    def take(self, block: Any) -> None:
        """Raises ValueError for a block that is neither text nor thought, such as a picture."""
        if isinstance(block, str):
            block = {"text": block}
        kind = block.get("type") if isinstance(block, dict) else "?"
        if kind in _TEXTS and isinstance(block.get("text"), str):
            self.texts.append(block["text"])
        elif kind == "refusal":
            self.refusals.append(str(block.get("refusal") or ""))
        elif kind in _THOUGHTS:
            self.thoughts.append(thought_of(block))
        elif kind in _CALLS:
            self.tool = str(block.get("name") or "")
        else:
            raise ValueError(
                f"content with a part of the type {str(kind)[:40]!r}, which is no text"
            )


def reasoning_of(message: dict[str, Any]) -> str:
    """Return the reasoning that a message keeps in a field of its own, "" where it has none."""
    return next((t for k in _REASONING if (t := thought_of(message.get(k)))), "")


def thought_of(value: Any) -> str:
    """Return the text of reasoning in the forms of DeepSeek and vLLM (a string), OpenRouter
    (`reasoning_details`), LiteLLM and Anthropic (blocks) and Mistral (a list of parts)."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(thought_of, value))
    if isinstance(value, dict):
        return next(
            (
                t
                for k in ("thinking", "text", "summary", "reasoning", "content")
                if (t := thought_of(value.get(k)))
            ),
            "",
        )
    return ""


def _tool(message: dict[str, Any]) -> str | None:
    call = tool_call(message)
    if not isinstance(call, dict) or not call:
        return None
    inner = call.get("function")
    return str((inner if isinstance(inner, dict) else call).get("name") or "")
