"""The answer in what a base model wrote on from an in-context prompt."""

from __future__ import annotations

import re

from veneer.studies.recovery.in_context import FENCE

_ANSWER = re.compile(r"^#\s*Answer:[ \t]*\n?(?:```[^\n`]*\n)?", re.MULTILINE)
_NEXT = re.compile(r"^#\s*(?:Query|Summary|Answer|Instructions|User)\s*:", re.MULTILINE)


def cut_answer(text: str) -> str:
    """Up to the closing fence, or to the next block's heading where the fence is missing."""
    body = text.split(FENCE, 1)[0]
    found = _NEXT.search(body)
    return (body[: found.start()] if found else body).strip()


def cut_own_summary(text: str) -> tuple[str, str | None]:
    """(summary, answer) of a text that begins inside the summary's fence. None where no
    answer follows: the model went on with its summary until its tokens ran out, or with a
    question of its own.

    The answer is the first "# Answer:" block; further "# Query" blocks, which such a text often
    goes on with, belong to no one.
    """
    fence = text.find(FENCE)
    heading = _NEXT.search(text)
    end = min(
        x for x in (fence if fence >= 0 else len(text), heading.start() if heading else len(text))
    )
    summary, rest = text[:end].strip(), text[end:].removeprefix(FENCE)
    following = _NEXT.search(rest)
    if following is None:
        return summary, None
    answer = _ANSWER.match(rest, following.start())
    return summary, None if answer is None else cut_answer(rest[answer.end() :])
