"""The semantic hint: a summary of the teacher's answer, asked of a judge model (the step of Lake, Choi and Durrett, arXiv 2406.17692,
in words of our own)."""

from __future__ import annotations

from collections.abc import Sequence

from veneer.prompts import Prompt

ASKED = """Here is a question and an answer to it.

## Question

{query}

## Answer

{answer}

## Task

Summarise the answer in two to three sentences. Somebody who reads only the summary should be able to write an answer with the same \
points in it. Use your own words throughout: no quotation from the answer. Write the summary and nothing else."""


def summary_prompts(ids: Sequence[str], queries: Sequence[str], answers: Sequence[str]) -> list[Prompt]:
    """What the judge model is asked, a prompt an answer, with the answers' ids."""
    before, _, rest = ASKED.partition("{query}")
    between, _, after = rest.partition("{answer}")
    found = []
    for name, query, answer in zip(ids, queries, answers, strict=True):
        asked = "".join((before, query.strip(), between, answer.strip(), after))  # not replace: a question may hold "{answer}"
        found.append(Prompt.from_text(name, asked, task="summaries"))
    return found
