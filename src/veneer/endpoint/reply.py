"""What is asked of an endpoint and what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LARGEST = 10**12  # tokens that a server may claim for one reply
Messages = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class ChatRequest:
    """messages: chat turns; or prompt: the text that a completion goes on from. parameters: as the endpoint names them
    (temperature, max_tokens, seed, stop, response_format ...)."""

    messages: Messages = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    prompt: str | None = None

    @property
    def path(self) -> str:
        return "chat/completions" if self.prompt is None else "completions"

    def body(self) -> dict[str, Any]:
        what: dict[str, Any] = {"messages": [{k: _whole(v) for k, v in m.items()} for m in self.messages]}
        if self.prompt is not None:
            what = {"prompt": _whole(self.prompt)}
        return {**what, **self.parameters}


@dataclass(frozen=True)
class Reply:
    """text: what the model said. finish_reason: the server's word ("stop", "length", "content_filter" ...); "too_long" where the
    request does not fit the model, "error" where there is no reply. refusal: the model's refusal where the server tells it apart.
    model: as the server names it. cached: it was not asked for now. error: why there is no reply, one sentence; text is then empty."""

    text: str
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    model: str | None = None
    refusal: str | None = None
    cached: bool = False
    error: str | None = None
    reasoning: str | None = None


@dataclass
class Usage:
    """requests: sent, every attempt counted; retries: those of them that went after a failure; replies: that came; cached: taken
    from the cache; shared: answered by an equal request of the same call; failed: without a reply in the end. Tokens are the
    server's counts, of replies that came now. cost: None without prices. adjusted: what the server would not take and was left
    out or renamed."""

    requests: int = 0
    retries: int = 0
    replies: int = 0
    cached: int = 0
    shared: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    adjusted: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)


def read_reply(data: Any) -> dict[str, Any]:
    """The fields of a Reply, from a chat or text completion. Unknown fields are ignored. Raises ValueError for anything else."""
    choices = data.get("choices") if isinstance(data, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise ValueError("a reply without choices")
    message = choices[0].get("message", choices[0])
    if not isinstance(message, dict):
        raise ValueError("a choice without a message")
    text = message.get("content", message.get("text"))
    refusal, finish = message.get("refusal"), choices[0].get("finish_reason")
    if isinstance(text, list):  # content in parts
        text = "".join(part["text"] for part in text if isinstance(part, dict) and isinstance(part.get("text"), str))
    if not isinstance(text, str) and text is not None:
        raise ValueError(f"content that is no text but {type(text).__name__}")
    if text is None and refusal is None and finish is None:
        raise ValueError("a choice without content")
    usage = data.get("usage")
    model = data.get("model")
    return {
        "text": _whole(text or ""), "finish_reason": finish if isinstance(finish, str) else "stop",
        "prompt_tokens": _count(usage, "prompt_tokens"), "completion_tokens": _count(usage, "completion_tokens"),
        "model": model if isinstance(model, str) else None, "refusal": _whole(refusal) if isinstance(refusal, str) else None,
    }  # fmt: skip


def _count(usage: Any, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST else 0


def _whole(text: str) -> str:
    """Without halves of characters (lone surrogates), which no file can hold."""
    return text.encode("utf-8", errors="replace").decode("utf-8")
