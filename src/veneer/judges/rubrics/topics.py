"""Topics of two answers to one query: each in A, in B, or in both, with its helpfulness (Lake et
al. 2025, arXiv 2406.17692). The words are ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veneer.judges.rubrics.reading import Unreadable, choice, field, scale_or_none
from veneer.judges.rubrics.rubric import ONE_TO_FIVE, TEXT, Rubric, Values, object_of

SIDES = ("A", "B", "both")
MOST = 200  # topics; a longer list is a judge that repeats itself
TASK = "You list the topics of two answers, A and B, to the same query."
CRITERIA = """\
List every distinct point or topic that A or B makes, in a few words each. Say whether it stands \
in A only, in B only, or in both (the same
point in other words is both), and how helpful it is to somebody who asked the query, from 1 (not \
at all) to 5 (very). List no
topic twice."""


def read(fields: Mapping[str, Any]) -> Values:
    """{"topics": [{"name", "response": "A" | "B" | "both", "helpfulness": 1..5 or None}]}.
    helpfulness is None where it is no single score ("N/A", "A: 5, B: 3"): the topic still counts.
    Raises Unreadable where a topic has no name or no side."""
    topics = field(fields, "topics")
    if not isinstance(topics, list) or len(topics) > MOST:
        raise Unreadable(f"topics that are no list of at most {MOST}")
    return {"topics": [_topic(t) for t in topics]}


def _topic(topic: Any) -> dict[str, Any]:
    if not isinstance(topic, dict) or not isinstance(name := field(topic, "name"), str):
        raise Unreadable("a topic without a name")
    try:
        helpful = scale_or_none(topic.get("helpfulness"))
    except Unreadable:
        helpful = None
    return {
        "name": name,
        "response": choice(field(topic, "response"), SIDES),
        "helpfulness": helpful,
    }


def by_rule(fields: Mapping[str, str]) -> Values | None:
    """Return no topics for two answers without text; None for any other."""
    return {"topics": []} if not fields["a"].strip() and not fields["b"].strip() else None


RUBRIC = Rubric(
    name="topics",
    fields=("query", "a", "b"),
    task=TASK,
    criteria=CRITERIA,
    form=(
        '{"reason": "one or two sentences", "topics": [{"name": "...", "response": "A", "B" or '
        '"both", "helpfulness": 1 to 5}, ...]}'
    ),
    schema=object_of(
        reason=TEXT,
        topics={
            "type": "array",
            "items": object_of(
                name=TEXT, response={"type": "string", "enum": list(SIDES)}, helpfulness=ONE_TO_FIVE
            ),
        },
    ),
    read=read,
    by_rule=by_rule,
    citation="after Lake et al. 2025, arXiv 2406.17692",
    max_tokens=1500,
)
