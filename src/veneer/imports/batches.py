"""Results of batch services: OpenAI's form, which vLLM and others write too, and Anthropic's. They
hold no prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.reading.turns import text_of
from veneer.imports.imported import Imported, Rules
from veneer.imports.rows import an_object, get, objects

EXPECTED = (
    'a batch result: {"custom_id", "response": {"body": {"choices": [...]}}} or {"custom_id", '
    '"result": {...}}'
)


def read_batch(path: Path, rules: Rules | None = None, system: str | None = None) -> Imported:
    """Read the results of a batch service. An answer belongs to the prompt whose id is its
    custom_id, because results come in any order. Several choices are samples. Failed requests are
    errors and are dropped."""
    imported = Imported(str(path), "batch", rules or Rules())
    rows = 0
    for where, row in objects(path, EXPECTED):
        rows += 1
        id = get(row, "custom_id", str, where, EXPECTED)
        body = _body(row, where)
        if body is None:
            imported.dropped["error: the request failed"] += 1
            continue
        model = body.get("model")
        name = system or (model if isinstance(model, str) and model else path.stem)
        for sample, (text, finish) in enumerate(_answers(body, where)):
            if text is None:
                imported.dropped["error: no content"] += 1
            else:
                imported.put(id, sample, name, text, finish=finish)
    if not rows:
        raise InputError(f"{path} holds no rows; expected {EXPECTED} per line")
    return imported


def _body(row: dict[str, Any], where: str) -> dict[str, Any] | None:
    """Return the reply of a request that succeeded."""
    if "result" in row:  # Anthropic
        result = an_object(row["result"], where, EXPECTED)
        return (
            an_object(result.get("message"), where, EXPECTED)
            if result.get("type") == "succeeded"
            else None
        )
    response = row.get("response")
    if row.get("error") or response is None:
        return None
    response = an_object(response, where, EXPECTED)
    status, body = response.get("status_code", 200), response.get("body")
    if status != 200 or not isinstance(body, dict) or body.get("error"):
        return None
    return body


def _answers(body: dict[str, Any], where: str) -> list[tuple[str | None, str | None]]:
    """Return (text, reason why it ended) of each answer in a reply."""
    if "choices" in body:
        return [
            _choice(an_object(c, where, EXPECTED), where)
            for c in get(body, "choices", list, where, EXPECTED)
        ]
    if body.get("type") == "message":  # Anthropic
        parts = get(body, "content", list, where, EXPECTED)
        return [(_parts(parts), _word(body.get("stop_reason")))]
    if isinstance(body.get("output"), list):  # OpenAI's Responses
        messages = [m for m in body["output"] if isinstance(m, dict) and m.get("type") == "message"]
        parts = [p for m in messages for p in get(m, "content", list, where, EXPECTED)]
        return [(_parts(parts), "length" if body.get("status") == "incomplete" else "stop")]
    raise InputError(
        f"{where} holds a reply with neither choices nor messages; expected {EXPECTED}"
    )


def _choice(choice: dict[str, Any], where: str) -> tuple[str | None, str | None]:
    finish = _word(choice.get("finish_reason"))
    if "message" not in choice:
        return get(choice, "text", str, where, EXPECTED), finish
    message = an_object(choice["message"], where, EXPECTED)
    content = message.get("content")
    if content is None:  # a model that refuses in a field of its own
        content = message.get("refusal")
    text = text_of(content, where)
    if text is None and content:
        raise InputError(f"{where} has a content that is no text; expected {EXPECTED}")
    return text, finish


def _parts(parts: list[Any]) -> str | None:
    """Return the text parts of a reply; its reasoning is no answer."""
    texts = [p["text"] for p in parts if isinstance(p, dict) and isinstance(p.get("text"), str)]
    return "".join(texts) if texts else None


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) else None
