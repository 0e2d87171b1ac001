"""The page on which a person labels answers, blind to the system and to any judge."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from veneer.foundation.errors import InputError
from veneer.foundation.files import sha256_text, write_text
from veneer.report.visible import visible
from veneer.studies.judging.labels import answer_id
from veneer.studies.judging.words import LABELS
from veneer.systems.responses import Response


def write_label_page(
    responses: Sequence[Response],
    out: Path,
    *,
    questions: Mapping[str, str] | None = None,
    sample: int | None = None,
    seed: int = 0,
) -> int:
    """Write the labelling page of these answers and return how many it shows.

    The order is random by `seed`, and `sample` answers are drawn where it is given. An answer
    without text has nothing to label and is left out. questions: prompt id -> the prompt's text.
    The page holds neither a system's name nor a verdict: an answer has an id that hides both.
    Raises InputError without any answer, and for two answers under one id.
    """
    filled = [r for r in responses if r.text.strip()]
    if not filled:
        raise InputError(f"none of the {len(responses)} answers has text; expected some to label")
    ids = [answer_id(r.prompt_id, r.sample_id, r.system) for r in filled]
    if len(set(ids)) < len(ids):
        twice = next(r for r, own in zip(filled, ids, strict=True) if ids.count(own) > 1)
        raise InputError(
            f"there are two answers of {twice.system} to {twice.prompt_id!r} (sample "
            f"{twice.sample_id}); give each answer once, and several answers to one prompt with "
            "their numbers as sample_id, from 0 (`veneer import` numbers them)"
        )
    # by id first, so that the order of the files changes nothing
    order = sorted(range(len(filled)), key=lambda i: ids[i])
    random.Random(seed).shuffle(order)
    items = [
        {
            "answer_id": ids[i],
            "prompt_id": filled[i].prompt_id,
            "prompt": _shown((questions or {}).get(filled[i].prompt_id)),
            "text": _shown(filled[i].text),
            "text_sha256": sha256_text(filled[i].text),
        }
        for i in order[:sample]
    ]
    page = sha256_text(json.dumps([[r["answer_id"], r["text_sha256"]] for r in items]))[:16]
    data = json.dumps({"id": page, "items": items, "choices": list(LABELS.items())})
    # the one sign that could end the element
    safe = Markup(data.replace("<", "\\u003c"))
    rooms = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    write_text(out, rooms.get_template("label.html.j2").render(data=safe, choices=LABELS))
    return len(items)


def _shown(text: str | None) -> str | None:
    """A text without hidden or reordering characters; its lines stay."""
    return None if text is None else visible(text.replace("\r\n", "\n"), len(text))
