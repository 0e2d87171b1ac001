"""In-context prompts within a token budget, the summaries that some of them show, and the answer
that a base model wrote after one."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from veneer.endpoint import ChatRequest
from veneer.foundation.errors import InputError, VeneerError
from veneer.foundation.progress import Progress
from veneer.judges.asker import Asker
from veneer.prompts.files import transcript
from veneer.prompts.prompt import Prompt
from veneer.reasoning import split_reasoning
from veneer.studies.recovery.variants import (
    FENCE,
    Example,
    Variant,
    at_random,
    in_context,
    instructions,
    nearest,
    urial_examples,
)


@dataclass(frozen=True)
class Material:
    """What variants are made of, each where a variant needs it. answers: the teacher's sample 0 to
    each prompt. fixed_answers: its answers to URIAL's three questions. summaries, fixed_summaries:
    of these answers. prompt_vectors, answer_vectors: (n, d) embeddings of the prompts and of the
    teacher's answers."""

    answers: Sequence[str] = ()
    fixed_answers: Sequence[str] = ()
    summaries: Sequence[str] = ()
    fixed_summaries: Sequence[str] = ()
    prompt_vectors: np.ndarray | None = None
    answer_vectors: np.ndarray | None = None
    seed: int = 0
    published: bool = False


@dataclass(frozen=True)
class Built:
    """prompts: with the in-context text as `plain`. examples: how many each shows. dropped: how
    many were left out of each because prompt and answer would not have fitted."""

    prompts: list[Prompt]
    examples: list[int]
    dropped: list[int]


def query(prompt: Prompt) -> str:
    """What stands under "# Query:": the user's message, or the turns as a transcript where
    there are several."""
    only = len(prompt.messages) == 1 and prompt.messages[0]["role"] == "user"
    return prompt.messages[0]["content"] if only else transcript(prompt.messages)


def base_prompts(prompts: Sequence[Prompt]) -> list[Prompt]:
    """The paper's prompt of the base model itself: the question and an open answer, no examples."""
    return [replace(p, plain=in_context(query(p))) for p in prompts]


def build(
    variant: Variant,
    prompts: Sequence[Prompt],
    material: Material,
    *,
    budget: int | None = None,
    count: Callable[[Sequence[str]], list[int]] | None = None,
) -> Built:
    """The variant's text of every prompt.

    budget: tokens that the text may have (the model's length less the answer's), counted by
    `count`. Where a text is longer, examples go from the end - the least similar ones, since the
    most similar stand first - until it fits or none is left. Raises InputError where the variant's
    material is missing.
    """
    shown = _examples(variant, prompts, material)
    system = instructions(
        summaries=variant.summaries, chosen=variant.chosen, published=material.published
    )
    hints = _hints(variant, prompts, material)

    def text(i: int, n: int) -> str:
        own = variant.kind == "summary-cot"
        return in_context(
            query(prompts[i]), shown[i][:n], system=system, summary=hints[i], own_summary=own
        )

    kept = [len(some) for some in shown]
    if budget is not None and count is not None:
        over = list(range(len(prompts)))
        while over:
            lengths = count([text(i, kept[i]) for i in over])
            over = [i for i, n in zip(over, lengths, strict=True) if n > budget and kept[i]]
            for i in over:
                kept[i] -= 1
    made = [replace(p, plain=text(i, kept[i])) for i, p in enumerate(prompts)]
    return Built(made, kept, [len(some) - n for some, n in zip(shown, kept, strict=True)])


def _examples(
    variant: Variant, prompts: Sequence[Prompt], material: Material
) -> list[list[Example]]:
    if not variant.chosen:
        fixed = list(urial_examples(published=material.published))
        if variant.teacher_examples:
            answers = _needed(
                material.fixed_answers,
                len(fixed),
                variant,
                "the teacher's answers to URIAL's questions",
            )
            fixed = [replace(e, answer=a) for e, a in zip(fixed, answers, strict=True)]
        if variant.summaries:
            summaries = _needed(
                material.fixed_summaries, len(fixed), variant, "summaries of the teacher's answers"
            )
            fixed = [replace(e, summary=s) for e, s in zip(fixed, summaries, strict=True)]
        return [fixed] * len(prompts)
    answers = _needed(material.answers, len(prompts), variant, "the teacher's answers")
    if variant.kind == "random":
        chosen = at_random([p.id for p in prompts], variant.k, material.seed)
    else:
        vectors = (
            material.prompt_vectors if variant.kind == "knn-prompt" else material.answer_vectors
        )
        if vectors is None or len(vectors) != len(prompts):
            raise InputError(
                f"the variant {variant.name} needs an embedding of each of the {len(prompts)} "
                "prompts; give an embedder"
            )
        chosen = nearest(vectors, variant.k)
    return [[Example(query(prompts[j]), answers[j]) for j in some] for some in chosen]


def _hints(variant: Variant, prompts: Sequence[Prompt], material: Material) -> Sequence[str | None]:
    if variant.kind != "summary":
        return [None] * len(prompts)
    return _needed(
        material.summaries,
        len(prompts),
        variant,
        "a summary of the teacher's answer to each prompt",
    )


def _needed(texts: Sequence[str], n: int, variant: Variant, what: str) -> Sequence[str]:
    if len(texts) != n:
        raise InputError(
            f"the variant {variant.name} needs {what}: found {len(texts)}, expected {n}"
        )
    return texts


# Summaries of the teacher's answers, by a judge model (the step of Lake, Choi and Durrett,
# arXiv 2406.17692, in words of our own)

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


# The answer in what a base model wrote after an in-context prompt

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
