"""Pairs with a planted truth: what alignment changed is known, or provably out of a head's reach.

Both sides read the same plain format, every head is untied, and the plant changes a score. The
models are trained while you wait (seconds, one width d = 32, two layers); V is about 400.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from tools.lab import planted_text as text
from tools.lab.measure import answers
from tools.lab.tokens import make_tokenizer
from tools.lab.train import Schedule, answer_examples, fit, new_model
from veneer.prompts.prompt import Prompt

_SHAPE: dict[str, Any] = {"width": 32, "inner": 64, "layers": 2, "heads": 2, "tied": False}
_YES_MARGIN = 3.0  # logits by which the plant puts "Yes" above "No" where the base has them level
_NOISE = 0.3  # logits (root mean square) that the plant's random part moves a token by
_NOISE_RANK = 3


@dataclass(frozen=True)
class PlantedPair:
    """base, aligned: Llama models on the CPU in float32, in eval mode; neither shares a
    tensor with the other.

    train, test: prompts (`plain` is what both models read); correct(prompt, answer): the task's
    score. most_new: enough new tokens for any answer. dW: the planted change of the head (V, d), or
    None where there is no such thing. claim: what is provable, in one sentence.
    """

    base: LlamaForCausalLM
    aligned: LlamaForCausalLM
    tokenizer: Any
    train: tuple[Prompt, ...]
    test: tuple[Prompt, ...]
    correct: Callable[[Prompt, str], bool]
    most_new: int
    dW: Tensor | None
    claim: str


def planted_dW(seed: int = 0) -> PlantedPair:
    """aligned := base with a known dW of rank 4 added to its head, so a head alone carries
    all of the change.

    dW = c (e_Yes - e_No) u^T + random rank 3. u (d,) reads from h_t whether an answer starts at t:
    it has u.h = 1 there and next to 0 elsewhere, in the least-squares sense over the train prompts
    with the base's answers. The base answers questions with "No", the aligned model with "Yes";
    right is "Yes". Provable: W + dW gives the aligned logits for every input.
    """
    base, tokenizer = _yes_no_base(seed)
    train, test = text.yes_no_prompts()
    dW = _yes_change(seed).clone()
    aligned = copy.deepcopy(base)
    with torch.no_grad():
        aligned.lm_head.weight += dW
    claim = "aligned logits = (W + dW) h for every input, with h the base's final hidden state"
    return PlantedPair(
        base, aligned, tokenizer, train, test, text.says_yes, text.YES_NO_MOST, dW, claim
    )


def planted_identity(seed: int = 0) -> PlantedPair:
    """aligned := base. Provable: dW = 0 has KL 0 everywhere, and no score differs, so that a
    portion means nothing."""
    base, tokenizer = _yes_no_base(seed)
    train, test = text.yes_no_prompts()
    zero = torch.zeros_like(base.lm_head.weight)
    claim = "base and aligned logits are equal bit for bit"
    return PlantedPair(
        base,
        copy.deepcopy(base),
        tokenizer,
        train,
        test,
        text.says_yes,
        text.YES_NO_MOST,
        zero,
        claim,
    )


def planted_blind(seed: int = 0) -> PlantedPair:
    """A key at the start of the prompt decides the answer, and the base's final hidden state cannot
    hold it.

    The base's attention output projections are zero and stay so while it learns, so h_t is a
    function of the token at t alone. All prompts end with the same token: whatever dW is, the
    greedy answer of base + dW is one and the same for all of them.

    Provable: with K = 8 equally frequent keys its score is at most 1/8, and at the key's position
    the mean of KL(aligned || base + dW) over the keys is at least the Jensen-Shannon divergence of
    the aligned model's K distributions: ln 8 nats where that model is sure of the key. The aligned
    model (same start, attention freed, trained on) answers with the key. The wording of the answer,
    in which the two also differ, is within the head's reach.
    """
    base, aligned, tokenizer = _blind_models(seed)
    train, test = text.key_prompts()
    claim = f"no head on the base's hidden states scores above 1/{len(text.KEYS)}"
    return PlantedPair(
        copy.deepcopy(base),
        copy.deepcopy(aligned),
        tokenizer,
        train,
        test,
        text.names_key,
        text.KEY_MOST,
        None,
        claim,
    )


def _yes_no_base(seed: int) -> tuple[LlamaForCausalLM, Any]:
    model, tokenizer = _trained_yes_no(seed)
    return copy.deepcopy(model), tokenizer


@cache
def _trained_yes_no(seed: int) -> tuple[LlamaForCausalLM, Any]:
    tokenizer = make_tokenizer(text.vocabulary(), 400)
    model = new_model(tokenizer, seed, **_SHAPE)
    texts = text.yes_no_texts(random.Random(f"{seed} yes or no"))
    fit(model, answer_examples(tokenizer, texts), Schedule(200, 32, 1e-2, 0.0), seed)
    return model, tokenizer


@cache
def _yes_change(seed: int) -> Tensor:
    """Return the dW (V, d) of planted_dW."""
    base, tokenizer = _trained_yes_no(seed)
    hidden, starts = _hidden_states(base, tokenizer, text.yes_no_prompts()[0])
    gram = hidden.T @ hidden / len(hidden)
    ridge = 1e-4 * gram.diagonal().mean() * torch.eye(len(gram))
    u = torch.linalg.solve(gram + ridge, hidden[starts].mean(0))
    u = u / (hidden[starts] @ u).mean()
    yes, no = (tokenizer(f" {w}", add_special_tokens=False)["input_ids"][0] for w in ("Yes", "No"))
    logits = hidden[starts] @ base.lm_head.weight.detach().T
    gap = (logits[:, no] - logits[:, yes]).max().clamp(min=0) + _YES_MARGIN
    dW = torch.zeros_like(base.lm_head.weight)
    dW[yes] += gap / 2 * u
    dW[no] -= gap / 2 * u
    random_part = torch.Generator().manual_seed(seed)
    left = torch.randn(len(dW), _NOISE_RANK, generator=random_part)
    right = torch.randn(_NOISE_RANK, dW.shape[1], generator=random_part)
    noise = left @ right
    dW += noise * _NOISE / (hidden @ noise.T).pow(2).mean().sqrt()
    return dW


@cache
def _blind_models(seed: int) -> tuple[LlamaForCausalLM, LlamaForCausalLM, Any]:
    tokenizer = make_tokenizer(text.vocabulary(), 400)
    base = new_model(tokenizer, seed, **_SHAPE)
    for layer in base.model.layers:
        torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
        # no gradient: the optimiser leaves it at zero
        layer.self_attn.o_proj.weight.requires_grad_(False)
    texts = text.key_texts(random.Random(f"{seed} base keys"), aligned=False)
    fit(base, answer_examples(tokenizer, texts), Schedule(80, 32, 1e-2, 0.0), seed)
    aligned, start = copy.deepcopy(base), torch.Generator().manual_seed(seed)
    for layer in aligned.model.layers:
        # Zero projections would also pass no gradient to the queries and keys behind them.
        torch.nn.init.normal_(layer.self_attn.o_proj.weight, std=0.1, generator=start)
        layer.self_attn.o_proj.weight.requires_grad_(True)
    texts = text.key_texts(random.Random(f"{seed} aligned keys"), aligned=True)
    fit(aligned, answer_examples(tokenizer, texts), Schedule(250, 32, 1e-2, 0.0), seed)
    return base, aligned, tokenizer


@torch.no_grad()
def _hidden_states(
    model: LlamaForCausalLM, tokenizer: Any, prompts: tuple[Prompt, ...]
) -> tuple[Tensor, Tensor]:
    """Final hidden states (N, d) at every response position, and which of them (N,)
    start an answer."""
    states, starts = [], []
    for prompt, answer in zip(
        prompts, answers(model, tokenizer, prompts, False, most=text.YES_NO_MOST), strict=True
    ):
        prompt_ids = tokenizer(prompt.plain)["input_ids"]
        ids = tokenizer(f"{prompt.plain} {answer}", return_tensors="pt")["input_ids"]
        # the last one predicts the end of text
        states.append(model.model(ids).last_hidden_state[0, len(prompt_ids) - 1 :])
        starts += [True] + [False] * (len(states[-1]) - 1)
    return torch.cat(states), torch.tensor(starts)
