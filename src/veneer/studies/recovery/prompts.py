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
class PromptMaterial:
    """What variants are made from; each field is needed by some of them only.

    answers: the teacher's sample 0 to each prompt. fixed_answers: its answers to URIAL's three
    questions. summaries, fixed_summaries: of these answers. prompt_vectors, answer_vectors: (n, d)
    embeddings of the prompts and of the teacher's answers. seed: for random examples. published:
    whether the text is the paper's, byte for byte.
    """

    answers: Sequence[str] = ()
    fixed_answers: Sequence[str] = ()
    summaries: Sequence[str] = ()
    fixed_summaries: Sequence[str] = ()
    prompt_vectors: np.ndarray | None = None
    answer_vectors: np.ndarray | None = None
    seed: int = 0
    published: bool = False


@dataclass(frozen=True)
class PromptSet:
    """The prompts of one variant.

    prompts: with the in-context text as `plain`. examples: number that each shows. dropped: number
    left out of each because prompt and answer would not fit.
    """

    prompts: list[Prompt]
    examples: list[int]
    dropped: list[int]


def query(prompt: Prompt) -> str:
    """The text under "# Query:": the user's message, or a transcript where there are several
    turns."""
    only = len(prompt.messages) == 1 and prompt.messages[0]["role"] == "user"
    return prompt.messages[0]["content"] if only else transcript(prompt.messages)


def base_prompts(prompts: Sequence[Prompt]) -> list[Prompt]:
    """The paper's prompt of the base model itself: the question and an open answer, no examples."""
    return [replace(p, plain=in_context(query(p))) for p in prompts]


def build(
    variant: Variant,
    prompts: Sequence[Prompt],
    material: PromptMaterial,
    *,
    budget: int | None = None,
    count: Callable[[Sequence[str]], list[int]] | None = None,
) -> PromptSet:
    """The variant's text of every prompt.

    budget: tokens that the text may have (the model's length less the answer's), counted by
    `count`. Where a text is longer, examples are dropped from the end (the least similar ones,
    since the most similar stand first) until it fits or none is left. Raises InputError where the
    variant's material is missing.
    """
    shown = _examples(variant, prompts, material)
    system = instructions(
        summaries=variant.summaries, chosen=variant.chosen, published=material.published
    )
    hints = _hints(variant, prompts, material)

    def text(i: int, n: int) -> str:
        return in_context(
            query(prompts[i]),
            shown[i][:n],
            system=system,
            summary=hints[i],
            own_summary=variant.own_summary,
        )

    kept = [len(examples) for examples in shown]
    if budget is not None and count is not None:
        over = list(range(len(prompts)))
        while over:
            lengths = count([text(i, kept[i]) for i in over])
            over = [i for i, n in zip(over, lengths, strict=True) if n > budget and kept[i]]
            for i in over:
                kept[i] -= 1
    dropped = [len(examples) - n for examples, n in zip(shown, kept, strict=True)]
    return PromptSet(
        [replace(p, plain=text(i, kept[i])) for i, p in enumerate(prompts)], kept, dropped
    )


def _examples(
    variant: Variant, prompts: Sequence[Prompt], material: PromptMaterial
) -> list[list[Example]]:
    """The examples of each prompt."""
    if not variant.chosen:
        return [_fixed_examples(variant, material)] * len(prompts)
    answers = _needed(material.answers, len(prompts), variant, "the teacher's answers")
    if variant.nearest_by is None:
        chosen = at_random([p.id for p in prompts], variant.k, material.seed)
    else:
        vectors = (
            material.prompt_vectors if variant.nearest_by == "prompt" else material.answer_vectors
        )
        if vectors is None or len(vectors) != len(prompts):
            raise InputError(
                f"the variant {variant.name} needs an embedding of each of the {len(prompts)} "
                "prompts; give an embedder"
            )
        chosen = nearest(vectors, variant.k)
    return [[Example(query(prompts[j]), answers[j]) for j in others] for others in chosen]


def _fixed_examples(variant: Variant, material: PromptMaterial) -> list[Example]:
    """URIAL's three examples, with the teacher's answers and summaries where the variant has
    them."""
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
        texts = _needed(
            material.fixed_summaries, len(fixed), variant, "summaries of the teacher's answers"
        )
        fixed = [replace(e, summary=s) for e, s in zip(fixed, texts, strict=True)]
    return fixed


def _hints(
    variant: Variant, prompts: Sequence[Prompt], material: PromptMaterial
) -> Sequence[str | None]:
    """The summary that each prompt shows of the answer it asks for; None where it shows none."""
    if not variant.hint:
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

SUMMARY_TOKENS = 160
REQUEST = """Here is a question and an answer to it.

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
    """One summary per answer, decoded greedily. Fences are removed, since a summary is put into
    one. Raises VeneerError where a summary is missing."""
    requests = [
        ChatRequest(
            [{"role": "user", "content": summary_request(q, a)}],
            {"temperature": 0, "max_tokens": SUMMARY_TOKENS},
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
            f"{len(failed)} of {len(replies)} summaries are missing ({why}); run the same command "
            "again to ask for them"
        )
    texts = [split_reasoning(r.text).answer.replace(FENCE, "").strip() for r in replies]
    if empty := sum(not t for t in texts):
        raise VeneerError(
            f"{empty} of {len(texts)} summaries are empty: the model wrote reasoning alone, or "
            f"nothing, in {SUMMARY_TOKENS} tokens; ask a model that does not think before it "
            "answers"
        )
    return texts


def summary_request(query: str, answer: str) -> str:
    """The text that the judge model reads."""
    before, _, rest = REQUEST.partition("{query}")
    between, _, after = rest.partition("{answer}")
    # not replace: a question may hold "{answer}"
    return "".join((before, query.strip(), between, answer.strip(), after))


# The answer in what a base model wrote after an in-context prompt

_ANSWER = re.compile(r"^#\s*Answer:[ \t]*\n?(?:```[^\n`]*\n)?", re.MULTILINE)
_NEXT = re.compile(r"^#\s*(?:Query|Summary|Answer|Instructions|User)\s*:", re.MULTILINE)


def cut_answer(text: str) -> str:
    """The text up to the closing fence, or to the next block's heading where the fence is
    missing."""
    body = text.split(FENCE, 1)[0]
    heading = _NEXT.search(body)
    return (body[: heading.start()] if heading else body).strip()


def cut_own_summary(text: str) -> tuple[str, str | None]:
    """(summary, answer) of a text that begins inside the summary's fence. None where no
    answer follows: the model continued its summary until its tokens ran out, or with a question of
    its own.

    The answer is the first "# Answer:" block; the text after it, often further "# Query" blocks,
    is left out.
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
