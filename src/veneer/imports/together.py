"""What only all rows of a file together show: ids that number answers and not prompts, answers that
hold their prompts, and cells that hold several answers."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from veneer.foundation.errors import InputError
from veneer.foundation.reading.turns import Turns
from veneer.imports.imported import Imported
from veneer.systems.responses import Response

ROW_IDS = "to a prompt under several ids, each of one row: they number the answers, not the prompts"
SHORT = 15  # characters; an answer may hold a shorter prompt by chance ("Hi", "Hi!")
NEAR = 500  # characters that a template has at most in front of a prompt that an answer repeats


def join_row_ids(imported: Imported) -> None:
    """Give answers to prompts of one text one id, the first, and samples in their order, where
    every id occurs once, as the number of a row does: otherwise the answers to one prompt would
    pass for answers to several."""
    turns: dict[str, Turns] = {p.id: p.messages for p in imported.prompts}
    ids = Counter(r.prompt_id for r in imported.responses)
    if not turns or ids.keys() - turns.keys() or max(ids.values(), default=0) != 1:
        return
    first: dict[str, str] = {}
    own = {id: first.setdefault(str(t), id) for id, t in turns.items()}
    if len(first) == len(own):
        return
    samples: Counter[tuple[str, str, str]] = Counter()
    joined: list[Response] = []
    for r in imported.responses:
        key = (r.system, r.task, own[r.prompt_id])
        joined.append(replace(r, prompt_id=own[r.prompt_id], sample_id=samples[key]))
        samples[key] += 1
    twice = Counter(own.values())
    imported.noticed[ROW_IDS] += sum(twice[r.prompt_id] > 1 for r in joined)
    imported.numbered = True
    imported.responses = joined
    imported.prompts = [p for p in imported.prompts if own[p.id] == p.id]


def refuse_prompts_within(imported: Imported) -> None:
    """Raise InputError where every answer repeats its prompt: one or two may, all do not by
    chance."""
    prompts = {p.id: p.messages[-1]["content"].strip() for p in imported.prompts}
    pairs = [
        (r.text, prompt)
        for r in imported.responses
        if r.text.strip() and len(prompt := prompts.get(r.prompt_id, "")) >= SHORT
    ]
    if len({prompt for _, prompt in pairs}) > 1 and all(_repeats(*pair) for pair in pairs):
        raise InputError(
            f"every answer of {imported.source} holds its prompt, first {pairs[0][0][:60]!r}; "
            "expected the answers alone: cut the prompts off (transformers' pipeline leaves them "
            "out with return_full_text=False)"
        )


def refuse_lists(imported: Imported) -> None:
    """Raise InputError where every cell of a table holds a list of answers as text."""
    texts = [t for r in imported.responses if (t := r.text.strip())]
    if texts and all(map(_is_list, texts)):
        raise InputError(
            f"every answer of {imported.source} is a list written as text, first "
            f"{texts[0][:60]!r}; expected one answer per row, or JSON lines with the "
            "list under responses"
        )


def _repeats(text: str, prompt: str) -> bool:
    """Return whether a text has a prompt at its beginning, and more behind it."""
    before, repeated, behind = text.partition(prompt)
    return bool(repeated) and len(before) <= NEAR and bool(behind.strip())


def _is_list(text: str) -> bool:
    """Return whether a text is a list of texts as Python or JSON writes it."""
    if text[:2] not in ("['", '["') or text[-2:] not in ("']", '"]'):
        return False
    try:
        values = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    return isinstance(values, Sequence) and all(isinstance(v, str) for v in values)
