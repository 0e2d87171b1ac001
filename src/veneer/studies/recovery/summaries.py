"""The semantic hint: a summary of the teacher's answer, asked of a judge model (the step of Lake,
Choi and Durrett, arXiv 2406.17692, in words of our own)."""

from __future__ import annotations

from collections.abc import Sequence

from veneer.endpoint import ChatRequest
from veneer.foundation.errors import VeneerError
from veneer.judges.asker import Asker
from veneer.reasoning import split_reasoning
from veneer.studies.recovery.in_context import FENCE
from veneer.studies.recovery.similarity import Progress

TOKENS = 160
ASKED = """Here is a question and an answer to it.

## Question

{query}

## Answer

{answer}

## Task

Summarise the answer in two to three sentences. Somebody who reads only the summary should be able \
to write an answer with the same points in it. Use your own words throughout: no quotation from \
the answer. Write the summary and nothing else."""


def summaries(
    queries: Sequence[str], answers: Sequence[str], asker: Asker, progress: Progress | None = None
) -> list[str]:
    """A summary an answer, greedy. Fences go: a summary is put into one. Raises VeneerError where
    one could not be had."""
    requests = [
        ChatRequest(
            [{"role": "user", "content": asked(q, a)}], {"temperature": 0, "max_tokens": TOKENS}
        )
        for q, a in zip(queries, answers, strict=True)
    ]
    replies = asker.ask(requests, progress, "summaries") if requests else []
    failed = [r for r in replies if r.error is not None or not r.text.strip()]
    if failed:
        why = failed[0].error or (
            "a reply of reasoning alone" if failed[0].unfinished else "an empty reply"
        )
        raise VeneerError(
            f"{len(failed)} of {len(replies)} summaries could not be had ({why}); the same "
            "command asks for them again"
        )
    texts = [split_reasoning(r.text).answer.replace(FENCE, "").strip() for r in replies]
    if empty := sum(not t for t in texts):
        raise VeneerError(
            f"{empty} of {len(texts)} summaries are empty: the model that was asked wrote "
            f"reasoning alone, or nothing, in {TOKENS} tokens; ask a model that does not think "
            "before it answers"
        )
    return texts


def asked(query: str, answer: str) -> str:
    """What the judge model reads."""
    before, _, rest = ASKED.partition("{query}")
    between, _, after = rest.partition("{answer}")
    # not replace: a question may hold "{answer}"
    return "".join((before, query.strip(), between, answer.strip(), after))
