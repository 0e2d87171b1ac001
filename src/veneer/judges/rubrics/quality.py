"""Quality in five aspects, 1 to 5 each with a reason, as Lake et al. 2025 (arXiv 2406.17692) judge
it. The words are ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veneer.judges.rubrics.reading import Unreadable, field, scale_or_none
from veneer.judges.rubrics.rubric import (
    ONE_TO_FIVE,
    TEXT,
    Rubric,
    Values,
    object_of,
    query_and_answer,
)

ASPECTS = ("helpfulness", "clarity", "factuality", "depth", "engagement")
TASK = "You are an impartial judge of the quality of an answer to a query."
CRITERIA = """\
Rate the answer in five aspects, each by itself, from 1 (worst) to 5 (best):
- helpfulness: does it address what was asked and solve it? 5: fully; 1: hardly at all;
- clarity: is it well ordered and easy to follow? 5: clear and logical; 1: disjointed or confusing;
- factuality: is what it says right? 5: all of it; 1: serious errors;
- depth: is it thorough and detailed? 5: goes deep; 1: barely touches the matter;
- engagement: does it read naturally and hold a reader? 5: lively and human; 1: mechanical or dull.
Length alone is no merit. Give each aspect a reason of one sentence, and a score."""


def read(fields: Mapping[str, Any]) -> Values:
    """Return the five scores, None for "N/A". Each stands in an object with its reason, or bare.
    Raises Unreadable where all are "N/A"."""
    values: Values = {}
    for aspect in ASPECTS:
        value = field(fields, aspect)
        values[aspect] = scale_or_none(field(value, "score") if isinstance(value, dict) else value)
    if all(v is None for v in values.values()):
        raise Unreadable("no aspect has a score")
    return values


def by_rule(fields: Mapping[str, str]) -> Values | None:
    """Return the scores of an answer without text, the lowest in every aspect; None for any
    other."""
    return dict.fromkeys(ASPECTS, 1.0) if not fields["answer"].strip() else None


RUBRIC = Rubric(
    name="quality",
    fields=("query", "answer"),
    task=TASK,
    criteria=CRITERIA,
    form="{"
    + ", ".join(f'"{a}": {{"reason": "one sentence", "score": 1 to 5}}' for a in ASPECTS)
    + "}",
    schema=object_of(**{a: object_of(reason=TEXT, score=ONE_TO_FIVE) for a in ASPECTS}),
    read=read,
    by_rule=by_rule,
    metrics=dict.fromkeys(ASPECTS, "1..5"),
    scores=lambda values: dict(values),
    fields_of=query_and_answer,
    citation="aspects of Lake et al. 2025, arXiv 2406.17692",
    max_tokens=700,
)
