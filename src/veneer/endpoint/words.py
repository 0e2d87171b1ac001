"""Read an error body, in the many forms that servers use: its sentence, its codes, and the
parameters that it names."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any

LONGEST = 300  # characters of a server's words that stand in a sentence
DEEPEST = 6  # levels of an error body that are read
_SENTENCES = (
    "message",
    "error",
    "detail",
    "msg",
    "error_msg",
    "status_msg",
    "error_message",
    "errors",
    "base_resp",
    "description",
    "title",
)
_CODES = ("code", "type", "status", "error_code", "error_type", "status_code", "reason")
# What looks like a key of somebody's: a gateway may echo the one that it uses itself.
_SECRETS = re.compile(
    r"\b(?:sk|pk|rk|hf|gsk|xai|ghp|pat)[-_][\w-]{12,}|\bAIza[\w-]{20,}|(?<=bearer )\S{8,}", re.I
)
_PLACES = {"body", "query", "path", "header"}  # where pydantic says that a field stands


def read_body(raw: bytes) -> Any:
    """Return the JSON of an error's body, or its text without markup."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        text = raw.decode("utf-8", errors="replace")
        text = re.sub(r"(?is)<(script|style|svg)\b.*?(</\1\s*>|$)", " ", text)
        return " ".join(html.unescape(re.sub(r"(?s)<!--.*?-->|<[^>]*>", " ", text)).split())


def sentence(body: Any) -> str:
    """Return the sentence of an error body, in the forms that servers use: {"error": {"message"}},
    {"error": text}, {"detail"}, {"message"}, a list of such (Gemini), pydantic's list of faults
    (FastAPI, Mistral), OpenRouter's own sentence followed by the provider's."""
    return _sentence(body, DEEPEST)


def _sentence(body: Any, depth: int) -> str:
    if isinstance(body, str):
        return _unpacked(body, depth)
    if depth == 0 or not isinstance(body, dict | list):
        return "" if body is None or isinstance(body, bool | dict | list) else str(body)
    if isinstance(body, list):
        return "; ".join(dict.fromkeys(filter(None, (_fault(one, depth - 1) for one in body[:5]))))
    words = next((w for k in _SENTENCES if (w := _sentence(body.get(k), depth - 1))), "")
    behind = body.get("metadata")
    raw = _sentence(behind.get("raw"), depth - 1) if isinstance(behind, dict) else ""
    return f"{words}: {raw}" if raw and raw not in words else words


def _unpacked(text: str, depth: int) -> str:
    """Return the JSON that a gateway put into a string."""
    if depth > 0 and text.lstrip().startswith(("{", "[{")):
        try:
            return _sentence(json.loads(text), depth - 1) or text.strip()
        except (ValueError, RecursionError):
            pass
    return text.strip()


def _fault(one: Any, depth: int) -> str:
    """Return one entry of a list of faults, with the place that it names."""
    words = _sentence(one, depth)
    place = ".".join(str(p) for p in _place(one))
    return f"{place}: {words}" if place and words else words


def _place(one: Any) -> list[Any]:
    place = one.get("loc") if isinstance(one, dict) else None
    return [p for p in place if p not in _PLACES] if isinstance(place, list) else []


def codes(body: Any) -> list[str]:
    """Return the codes and types of an error body as text, outer ones first."""
    return [
        str(v)
        for one in _dicts(body, DEEPEST)
        for k in _CODES
        if isinstance(v := one.get(k), str | int) and not isinstance(v, bool)
    ]


def parameters(body: Any) -> list[str]:
    """Return the parameters that an error body names in a field of its own: OpenAI's `param`,
    pydantic's `loc`."""
    names = []
    for one in _dicts(body, DEEPEST):
        if isinstance(param := one.get("param"), str):
            names.append(param.rpartition(".")[2])
        names += [p for p in _place(one)[:1] if isinstance(p, str)]
    return list(dict.fromkeys(filter(None, names)))


def seconds_named(body: Any) -> float | None:
    """Return the seconds that an error body asks to wait: Google's RetryInfo ({"retryDelay":
    "37s"}), or "try again in 20s" in words. `backoff` reads the headers that OpenRouter and others
    put inside the body."""
    for one in _dicts(body, DEEPEST):
        delay = one.get("retryDelay")
        if isinstance(delay, str) and (m := re.fullmatch(r"(\d+(?:\.\d+)?)s", delay)):
            return float(m[1])
    if m := re.search(r"(?:try again|retry) in (\d+(?:\.\d+)?) ?(ms|s|m)\b", sentence(body), re.I):
        return float(m[1]) * {"ms": 1e-3, "s": 1.0, "m": 60.0}[m[2].lower()]
    return None


def headers_inside(body: Any) -> dict[str, str]:
    """Return the headers that a gateway puts into the body (OpenRouter: error.metadata.headers),
    with names in lower case."""
    return {
        str(k).lower(): str(v)
        for one in _dicts(body, DEEPEST)
        if isinstance(inner := one.get("headers"), dict)
        for k, v in inner.items()
    }


def _dicts(body: Any, depth: int) -> Iterator[dict[str, Any]]:
    if depth == 0:
        return
    if isinstance(body, dict):
        yield body
        for value in body.values():
            yield from _dicts(value, depth - 1)
    elif isinstance(body, list):
        for one in body[:20]:
            yield from _dicts(one, depth - 1)


def one_line(text: str, key: str = "") -> str:
    """Return a text as one short printable line, without the key and anything like a key, whatever
    a server echoes."""
    if key:
        text = text.replace(key, "***")
    text = _SECRETS.sub("***", text)
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
