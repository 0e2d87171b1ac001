"""The teacher's reasoning in a capture's manifest: which part of the responses base reads, and how
many responses end within it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from veneer.capture.teachers.teacher import Teacher
from veneer.foundation.files import read_json, write_json
from veneer.models.decode import Decoded, response_parts
from veneer.models.language_model import LanguageModel
from veneer.reasoning.parts import is_unfinished

KEPT = "kept"  # base reads thought and answer, as the teacher wrote them
DROPPED = "dropped"  # base reads the answers alone
MOST = 0.5  # share of unfinished responses from which on there is little of the answers to learn

log = logging.getLogger("veneer")


def parts_of(
    base: LanguageModel, teacher: Teacher, decoded: Decoded, stop: Sequence[str] = ()
) -> dict[str, str]:
    """`text` and, where there is any, `reasoning` of a response, for responses-*.jsonl. stop:
    strings that end an answer."""
    if decoded.reasoning is not None:  # the teacher knows what its own prompt opened
        return {"text": decoded.text, "reasoning": decoded.reasoning}
    parts = response_parts(base, decoded.token_ids, set(teacher.stop_ids), stop)
    return {
        "text": parts.answer,
        **({} if parts.reasoning is None else {"reasoning": parts.reasoning}),
    }


def record_thoughts(
    folder: Path, rows: list[dict[str, Any]], base: LanguageModel, teacher: Teacher
) -> bool:
    """Write `reasoning` into the manifest of a whole capture: the part that is kept, the responses
    that hold any, and those that hold nothing else. Returns whether anything was written: a capture
    without reasoning has no such entry. Warns where most have no answer. rows: of
    responses-*.jsonl."""
    manifest: dict[str, Any] = read_json(folder / "manifest.json", "the manifest of a capture")
    thinking = [r for r in rows if r.get("reasoning") is not None]
    if "reasoning" in manifest or not thinking:
        return False
    unfinished = sum(is_unfinished(r["reasoning"], r["text"]) for r in thinking)
    apart = manifest.get("teacher", {}).get("kind") == "endpoint" and not _holds_thought(
        thinking[0], base, teacher
    )
    facts = {
        "part": DROPPED if apart else KEPT,
        "responses": len(thinking),
        "unfinished": unfinished,
    }
    write_json(folder / "manifest.json", {**manifest, "reasoning": facts})
    if unfinished > MOST * len(rows):
        log.warning(
            "veneer: %d of %d responses of %s end within their reasoning, so that the capture "
            "holds few answers; give a larger --max-new-tokens",
            unfinished,
            len(rows),
            teacher.name,
        )
    return True


def _holds_thought(row: dict[str, Any], base: LanguageModel, teacher: Teacher) -> bool:
    """Whether a response's tokens hold its reasoning: an endpoint may tell it in a
    field of its own."""
    return response_parts(base, row["token_ids"], set(teacher.stop_ids)).reasoning is not None
