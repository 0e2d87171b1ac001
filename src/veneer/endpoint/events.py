"""Rebuild a whole reply from server-sent events, which some servers send although no stream was
requested."""

from __future__ import annotations

import json
from typing import Any

from veneer.endpoint.message import thought_of
from veneer.foundation.reading.turns import tool_call


def is_stream(raw: bytes) -> bool:
    """Return whether a body is a stream of events (its first line says so)."""
    return raw.lstrip()[:6].startswith((b"data:", b"event:", b":"))


def whole(raw: bytes) -> dict[str, Any]:
    """Return the completion that the chunks of a stream make up: texts and log-probabilities one
    behind the other, the last finish reason, usage and model. An error among the events takes the
    place of all. The finish reason is missing where the stream broke off. Raises ValueError where
    an event is no JSON."""
    out: dict[str, Any] = {"choices": []}
    choice: dict[str, Any] = {}
    for event in _events(raw):
        if not isinstance(event, dict):
            raise ValueError("an event that is no object")
        if event.get("error") or (event.get("object") == "error"):
            return event
        out |= {k: v for k, v in event.items() if k not in ("choices", "object") and v is not None}
        choices = event.get("choices")
        for one in choices if isinstance(choices, list) else ():
            if isinstance(one, dict) and one.get("index", 0) in (0, None):
                _add(choice, one)
    if choice:
        out["choices"] = [choice]
    return out


def _events(raw: bytes) -> list[Any]:
    """Return the JSON of each event. One that is spread over several `data:` lines ends at an empty
    line; servers that leave those out send one event on one line."""
    events: list[Any] = []
    lines: list[str] = []
    for line in [
        *raw.decode("utf-8", errors="replace")
        .replace("\r\n", "\n")
        .replace("\r", "\n")
        .split("\n"),
        "",
    ]:
        if line.startswith("data:") and line[5:].strip() != "[DONE]":
            lines.append(line[5:].removeprefix(" "))
            try:
                events.append(json.loads("\n".join(lines)))
            except ValueError:
                continue
            lines = []
        elif not line and lines:
            raise ValueError("an event that is no JSON")
    return events


def _add(choice: dict[str, Any], piece: dict[str, Any]) -> None:
    """Append a piece of a choice to the choice so far."""
    message = choice.setdefault("message", {"content": None})
    delta = next((piece[k] for k in ("delta", "message") if isinstance(piece.get(k), dict)), piece)
    text = delta.get("content", delta.get("text"))
    thought = next(
        (
            t
            for k in ("reasoning_content", "reasoning", "thinking", "reasoning_details")
            if (t := thought_of(delta.get(k)))
        ),
        "",
    )
    for name, value in (
        ("content", text),
        ("refusal", delta.get("refusal")),
        ("reasoning_content", thought),
    ):
        if isinstance(value, str) and (value or name == "content"):
            before = message.get(name) or ""
            message[name] = (
                [*before, {"type": "text", "text": value}]
                if isinstance(before, list)
                else before + value
            )
        elif isinstance(value, list):
            before = message.get(name) or []
            message[name] = (
                [{"type": "text", "text": before}] if isinstance(before, str) else before
            ) + value
    if (call := tool_call(delta)) is not None:
        message.setdefault("tool_calls", [call])
    for name in ("finish_reason", "error"):
        if piece.get(name) is not None:
            choice[name] = piece[name]
    logprobs = piece.get("logprobs")
    if isinstance(logprobs, dict):
        kept = choice.setdefault("logprobs", {})
        for name, rows in logprobs.items():
            if isinstance(rows, list):
                kept[name] = [*kept.get(name, []), *rows]
