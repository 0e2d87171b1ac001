"""The in-context text of every prompt under a variant, within a token budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from veneer.foundation.errors import InputError
from veneer.prompts.files import transcript
from veneer.prompts.prompt import Prompt
from veneer.studies.recovery.in_context import Example, in_context, instructions, urial_examples
from veneer.studies.recovery.neighbours import at_random, nearest
from veneer.studies.recovery.variants import Variant


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
