"""Results of batch services: OpenAI's form, which vLLM and others write too, and Anthropic's. They
hold no prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.reading.content import stem
from veneer.imports.choices import of_parts, put_choice
from veneer.imports.imported import Imported, Rules
from veneer.imports.rows import an_object, get, objects

EXPECTED = (
    'a batch result: {"custom_id", "response": {"body": {"choices": [...]}}} or {"custom_id", '
    '"result": {...}}'
)


def read_batch(path: Path, rules: Rules | None = None) -> Imported:
    """Read the results of a batch service. An answer belongs to the prompt whose id is its
    custom_id, because results come in any order. Several choices are samples. Failed requests, and
    calls of a tool, are errors and are dropped."""
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
        name = model if isinstance(model, str) and model else stem(path)
        for sample, (choice, finish) in enumerate(choices_of(body, where)):
            put_choice(imported, id, sample, name, choice, finish, where)
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


def choices_of(body: dict[str, Any], where: str) -> list[tuple[dict[str, Any], Any]]:
    """Return (choice, reason why it ended) of each answer in a reply. Raises InputError for what is
    no reply."""
    if "choices" in body:
        choices = [
            an_object(c, where, EXPECTED) for c in get(body, "choices", list, where, EXPECTED)
        ]
        return [(c, c.get("finish_reason")) for c in choices]
    if body.get("type") == "message":  # Anthropic
        blocks = get(body, "content", list, where, EXPECTED)
        return [(of_parts(blocks), body.get("stop_reason"))]
    if isinstance(body.get("output"), list):  # OpenAI's Responses
        items = [i for i in body["output"] if isinstance(i, dict)]
        blocks = [
            block
            for i in items
            for block in (
                get(i, "content", list, where, EXPECTED) if i.get("type") == "message" else [i]
            )
        ]
        return [(of_parts(blocks), _end(body))]
    raise InputError(
        f"{where} holds a reply with neither choices nor messages; expected {EXPECTED}"
    )


def _end(body: dict[str, Any]) -> Any:
    """Return the reason why a reply of OpenAI's Responses ended."""
    details = body.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    status = body.get("status")
    return reason if status == "incomplete" and reason else status
