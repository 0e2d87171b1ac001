"""Requests to an endpoint and their replies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from veneer.endpoint.failure import Failure, Fault, of_error
from veneer.endpoint.finish import WORD, Ending, ending_of, is_tool_call
from veneer.endpoint.message import Message, read_message

LARGEST = 10**12  # tokens that a server may claim for one reply
Messages = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class ChatRequest:
    """One request. messages: chat turns; or prompt: the text that a completion continues.
    parameters: by the endpoint's names (temperature, max_tokens, seed, stop, response_format
    ...)."""

    messages: Messages = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    prompt: str | None = None

    @property
    def path(self) -> str:
        return "chat/completions" if self.prompt is None else "completions"

    def body(self) -> dict[str, Any]:
        what: dict[str, Any] = {
            "messages": [{k: _whole(v) for k, v in m.items()} for m in self.messages]
        }
        if self.prompt is not None:
            what = {"prompt": _whole(self.prompt)}
        return {**what, **self.parameters}


@dataclass(frozen=True)
class Reply:
    """One reply.

    text: the model's answer, or its refusal where it only refused. finish_reason: "stop", "length"
    or "content_filter", whatever word the server uses (finish.py); "too_long" where the request
    does not fit the model, "error" where there is no reply. refusal: the model's refusal, where the
    server separates it. reasoning: the model's thoughts before the answer, never a part of `text`.
    thought_tokens: their tokens as the server counts them, also where it hides them. model: the
    name that the server gives. cached: it comes from the cache. left_out: requested parameters that
    the server did not accept. error: the reason why there is no reply, one sentence; text is then
    empty. own: the request itself is at fault, so that another attempt is of no use.
    """

    text: str
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    model: str | None = None
    refusal: str | None = None
    cached: bool = False
    error: str | None = None
    reasoning: str | None = None
    thought_tokens: int = 0
    left_out: tuple[str, ...] | list[str] = ()
    own: bool = False

    @property
    def unfinished(self) -> bool:
        """Whether the model thought and then gave no answer, whatever the server calls that."""
        return self.error is None and is_unfinished(self.text, self.reasoning, self.thought_tokens)


def is_unfinished(text: str, reasoning: str | None, thought_tokens: int) -> bool:
    """Return whether a reply holds reasoning alone."""
    return not text.strip() and bool(reasoning or thought_tokens)


@dataclass
class Usage:
    """Counts over the life of a client.

    requests: attempts; retries: attempts after a failure; replies: replies that came; cached: read
    from the cache; shared: answered by an equal request of the same call; failed: without a reply
    in the end. Tokens are the server's counts, of replies that came now. cost: None without prices.
    adjusted: parameters that the server refused and that were left out or renamed. models: the
    models that answered, by the server's names.
    """

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
    """Return the fields of a Reply, from a chat or text completion. Unknown fields are ignored.

    Raises Failure for what is no answer: an error on the choice, a finish reason that is a
    failure or unknown, a tool that was called instead of answering. Raises ValueError for what
    is no completion.
    """
    choice = choice_of(data)
    message, word = read_message(choice), choice.get("finish_reason")
    ending = ending_of(word)
    _check(choice, message, word, ending)
    text = message.refusal if not message.content and message.refusal else message.content
    usage, model = data.get("usage"), data.get("model")
    thoughts = usage.get("completion_tokens_details") if isinstance(usage, dict) else None
    if (
        text is None
        and ending is Ending.FINISHED
        and not is_unfinished("", message.reasoning, _count(thoughts, "reasoning_tokens"))
    ):
        raise ValueError("a choice without content")
    reply: dict[str, Any] = {
        "text": _whole(text or ""),
        "finish_reason": WORD[ending],
        "prompt_tokens": _count(usage, "prompt_tokens"),
        "completion_tokens": _count(usage, "completion_tokens"),
        "model": model if isinstance(model, str) else None,
        "refusal": None if message.refusal is None else _whole(message.refusal),
    }
    if message.reasoning:
        reply["reasoning"] = _whole(message.reasoning)
    if count := _count(thoughts, "reasoning_tokens"):
        reply["thought_tokens"] = count
    return reply


def choice_of(data: Any) -> dict[str, Any]:
    """Return the first choice of a completion. Raises ValueError where there is none."""
    choices = data.get("choices") if isinstance(data, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise ValueError("a reply without choices")
    return choices[0]


def _check(choice: dict[str, Any], message: Message, word: Any, ending: Ending) -> None:
    """Raises Failure where a choice is no answer."""
    if choice.get("error") and (failure := of_error({"error": choice["error"]})) is not None:
        raise replace(
            failure,
            message=f"an answer that broke off ({failure.message})",
            hopeless=False,
            fault=Fault.NONE,
        )
    if message.tool is not None or is_tool_call(word):
        name = f" {message.tool[:60]!r}" if message.tool else ""
        raise Failure(
            f"a call of the tool{name} in place of an answer (finish_reason {_shown(word)})",
            own=True,
        )
    if ending is Ending.FAILED:
        raise Failure(f"an answer that broke off (finish_reason {_shown(word)})", passing=True)
    if ending is Ending.UNKNOWN:
        expected = 'expected "stop", "length" or another word of docs/endpoints.md'
        raise Failure(
            f"an answer that does not say how it ended (finish_reason {_shown(word)}; {expected})",
            passing=True,
            steady=True,
        )


def _shown(word: Any) -> str:
    return "null or missing" if word is None else repr(word)[:60]


def _count(usage: Any, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return (
        value
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST
        else 0
    )


def _whole(text: str) -> str:
    """Replace halves of characters (lone surrogates), which no file can hold."""
    return text.encode("utf-8", errors="replace").decode("utf-8")
