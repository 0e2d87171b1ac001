"""Figures of the second paper's published data that concern recovery: printed value, and
how to compute it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from tools.paper.diversity_figures import Figure, answers
from veneer.imports.overton import BertScores, read_bertscore, read_embeddings, read_instances
from veneer.imports.registry import read_stored
from veneer.statistics import intervals
from veneer.statistics.intervals import Estimate
from veneer.studies.recovery.prompts import PromptMaterial, base_prompts, build
from veneer.studies.recovery.similarity import bests, means
from veneer.studies.recovery.stored import stored_f1
from veneer.studies.recovery.variants import Variant

BASE, ICL, CHAT, GPT = "llama-2-base", "llama-2-icl", "llama-2-chat", "gpt-3.5-turbo"
KNN3, KNN5 = "llama-2-icl-gpt-3.5-knn-prompt_similar", "llama-2-icl-chat-5nn-prompt_similar"


@cache
def scores(data: Path, ref: str, alt: str) -> BertScores:
    return read_bertscore(data / "LIMA-OE" / "bertscore" / "outputs" / f"{ref}--{alt}.json")


def mean_f1(data: Path, ref: str, alt: str) -> Estimate:
    return intervals.mean(means(stored_f1(scores(data, ref, alt))))


def best_f1(data: Path, ref: str, alt: str, m: int) -> Estimate:
    """Expected best of m candidates."""
    return intervals.mean(bests(stored_f1(scores(data, ref, alt)), m))


def rebuilt(data: Path, system: str, made: Callable[[Path], Sequence[str]]) -> int:
    """How many of the stored prompts are the rebuilt ones, byte for byte."""
    path = data / "LIMA-OE" / "outputs" / system / "samples.jsonl"
    stored = [p.plain for p in read_stored(path).prompts]
    return sum(a == b for a, b in zip(stored, made(data), strict=True))


def base_texts(data: Path) -> list[str]:
    return [
        p.plain for p in base_prompts(read_instances(data / "LIMA-OE" / "instances" / "data.jsonl"))
    ]


def in_context_texts(data: Path, kind: str, teacher: str = GPT, k: int = 3) -> list[str]:
    """Return the published in-context prompts: nearest by the stored embeddings, with the teacher's
    sample 0 as answers."""
    folder = data / "LIMA-OE"
    prompts = read_instances(folder / "instances" / "data.jsonl")
    vectors = read_embeddings(folder / "instances" / "embeddings-prompt_similar.npz").vectors
    first = [row[0] for row in answers(data, teacher).values()]
    material = PromptMaterial(answers=first, prompt_vectors=vectors, published=True)
    return [p.plain for p in build(Variant(kind, k), prompts, material).prompts]


FIGURES: tuple[Figure, ...] = tuple(
    Figure(name, printed, compute, "recovery")
    for name, printed, compute in (
        (
            "BERTScore F1 to chat's sample 0, llama-2-base, mean",
            "0.827333",
            lambda d: mean_f1(d, CHAT, BASE),
        ),
        (
            "BERTScore F1 to chat's sample 0, llama-2-base, best of five",
            "0.853103",
            lambda d: best_f1(d, CHAT, BASE, 5),
        ),
        (
            "BERTScore F1 to chat's sample 0, chat without self-pairs, mean",
            "0.891483",
            lambda d: mean_f1(d, CHAT, CHAT),
        ),
        (
            "stored prompts rebuilt byte for byte, base",
            "50",
            lambda d: rebuilt(d, BASE, base_texts),
        ),
        (
            "stored prompts rebuilt byte for byte, URIAL",
            "50",
            lambda d: rebuilt(d, ICL, lambda x: in_context_texts(x, "urial")),
        ),
        (
            "stored prompts rebuilt byte for byte, 3 nearest, gpt-3.5-turbo",
            "50",
            lambda d: rebuilt(d, KNN3, lambda x: in_context_texts(x, "knn-prompt")),
        ),
        (
            "stored prompts rebuilt byte for byte, 5 nearest, llama-2-chat",
            "50",
            lambda d: rebuilt(d, KNN5, lambda x: in_context_texts(x, "knn-prompt", CHAT, 5)),
        ),
    )
)
