"""Stored judgements as material: the published judge outputs, or plain JSON lines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from veneer.diversity.material import Judgements, verdicts
from veneer.diversity.verdicts import read_all
from veneer.errors import InputError
from veneer.imports.overton import Judged, read_judged
from veneer.imports.rows import get, objects

T = TypeVar("T")
EXPECTED = '{"prompt_id", "sample_id", "content": what the judge wrote, or its object}'


def read_judgements(
    path: Path, parse: Callable[[str], T | None], *, prompts: int | None = None, instances: Path | None = None
) -> Judgements[T]:
    """Judgements of a file: published judge outputs ({"ok", "outputs"} a line) or plain lines {"prompt_id", "sample_id", and "content"
    (the judge's text) or the scores themselves ("helpfulness", "stance", "score", "topics")}. parse: from `verdicts`.

    Raises InputError naming file and line, and where no line has a verdict.
    """
    _, first = next(objects(path, EXPECTED), ("", {}))
    judged = read_judged(path, instances, prompts) if "outputs" in first else _plain(path)
    keys: Counter[tuple[str, int]] = Counter((j.prompt_id, j.sample_id) for j in judged)
    twice = next((k for k, n in keys.items() if n > 1), None)
    if twice is not None:
        raise InputError(f"{path} judges sample {twice[1]} of prompt {twice[0]!r} twice; expected one judgement an answer")
    read = read_all((j.content for j in judged), parse)
    if not read.parsed:
        why = ", ".join(read.failed) or "no rows"
        raise InputError(f"{path} holds no verdict of this kind in {len(judged)} rows ({why}); is it the right judge's file?")
    values = dict(zip(((j.prompt_id, j.sample_id) for j in judged), read.values, strict=True))
    return Judgements(verdicts(values), f"stored:{path.parent.name}/{path.name}", dict(read.failed))


def _plain(path: Path) -> list[Judged]:
    found = []
    for where, row in objects(path, EXPECTED):
        id, sample = get(row, "prompt_id", (str, int), where, EXPECTED), get(row, "sample_id", int, where, EXPECTED)
        content = row.get("content", row)
        if content is not None and not isinstance(content, str):
            content = json.dumps(content)
        found.append(Judged(str(id), sample, content, None))
    return found
