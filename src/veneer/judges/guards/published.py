"""The published classifiers: their prompts, their outputs, and what their scores mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from veneer.judges.guards import forms
from veneer.judges.judge import Scores


@dataclass(frozen=True)
class Guard:
    """One published classifier. form: its prompt, None for its tokenizer's chat template. bos: the
    form begins with the tokenizer's BOS as text. tokens: length of its output; 0 where its score is
    read off the logits. read: the scores in an output. model: a published model."""

    name: str
    metrics: Mapping[str, str]
    form: str | None
    model: str
    tokens: int = 0
    read: Callable[[str], Scores] | None = None
    bos: bool = False


GUARDS = {
    guard.name: guard
    for guard in (
        Guard(
            "wildguard",
            {"refusal_rate": "share", "harmful_response_rate": "share"},
            forms.WILDGUARD,
            "allenai/wildguard",
            32,
            forms.read_wildguard,
            bos=True,
        ),
        Guard(
            "harmbench",
            {"harm_rate": "share"},
            forms.HARMBENCH_LLAMA,
            "cais/HarmBench-Llama-2-13b-cls",
            1,
            forms.read_harmbench,
        ),
        Guard(
            "harmbench-mistral",
            {"harm_rate": "share"},
            forms.HARMBENCH_MISTRAL,
            "cais/HarmBench-Mistral-7b-val-cls",
            1,
            forms.read_harmbench,
        ),
        Guard(
            "llama-guard",
            {"unsafe_rate": "share"},
            None,
            "meta-llama/Llama-Guard-3-8B",
            20,
            forms.read_llama_guard,
        ),
        Guard(
            "strongreject-finetuned",
            {"strongreject_score": "0..1"},
            forms.STRONGREJECT,
            "qylu4156/strongreject-15k-v1@google/gemma-2b",
        ),
    )
}
