"""One batch of a capture: the aligned model answers, base reads the answers, and both give their distributions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from veneer.capture.config import HIDDEN_DTYPES, CaptureConfig
from veneer.capture.teacher import response_hidden
from veneer.capture.topk import TopK, log_masses, top_k
from veneer.errors import VeneerError
from veneer.models.decode import Decoded, decode, response_text
from veneer.models.head import Head
from veneer.models.pair import Pair

HEAD_TOKENS = 512  # rows of logits held at once: 512 x 50,000 x 4 bytes = 100 MB


def answer(
    pair: Pair, prompts: Sequence[Sequence[int]], keys: Sequence[str], config: CaptureConfig
) -> tuple[list[Decoded], list[TopK]]:
    """Let the aligned model answer. Ids in and out are the aligned model's and base's respectively; the top-k
    distributions, over the shared vocabulary in base's ids, are taken while it generates."""
    seen: list[list[TopK]] = [[] for _ in prompts]

    def watch(rows: Sequence[int], hidden: Tensor, logits: Tensor) -> None:
        step = top_k(pair.vocabulary.from_other(logits), config.k)
        for place, row in enumerate(rows):
            seen[row].append(TopK(*(t[place] for t in step)))

    own_stops = pair.vocabulary.ids_to_other([i for i in pair.stop_ids if i < pair.vocabulary.size])
    out = decode(pair.aligned, prompts, config.sampling, stop_ids=own_stops, keys=keys, watch=watch)
    out = [replace(d, token_ids=tuple(pair.vocabulary.ids_from_other(list(d.token_ids)))) for d in out]
    return out, [TopK(*(torch.stack(column) for column in zip(*rows, strict=True))) for rows in seen]


def shared_head(pair: Pair) -> Head:
    """Base's head over the shared vocabulary: what the capture stores and a veneer is extracted against."""
    size = pair.vocabulary.size
    head = pair.base.head
    return Head(head.weight[:size], None if head.bias is None else head.bias[:size], head.scale, head.softcap)


def base_columns(head: Head, hidden: Tensor, aligned_ids: Tensor, k: int) -> dict[str, Tensor]:
    """Base's own top k, its log-probability of the aligned model's top k, and its normaliser, for hidden (n, d)."""
    names = ("base_ids", "base_logprobs", "base_at_aligned", "base_outside", "base_logz")
    parts: dict[str, list[Tensor]] = {name: [] for name in names}
    for at in range(0, len(hidden), HEAD_TOKENS):
        logits = head.logits(hidden[at : at + HEAD_TOKENS])
        own = top_k(logits, k)
        at_aligned, outside = log_masses(logits, aligned_ids[at : at + HEAD_TOKENS], own.logz)
        parts["base_ids"].append(own.ids)
        parts["base_logprobs"].append(own.logprobs)
        parts["base_at_aligned"].append(at_aligned)
        parts["base_outside"].append(outside)
        parts["base_logz"].append(own.logz)
    return {name: torch.cat(columns) for name, columns in parts.items()}


@torch.inference_mode()
def capture_batch(
    pair: Pair,
    numbers: Sequence[int],
    base_ids: Sequence[list[int]],
    aligned_ids: Sequence[list[int]],
    keys: Sequence[str],
    config: CaptureConfig,
) -> tuple[dict[str, Tensor], list[Decoded]]:
    """The columns of one batch (see shards.py), tokens in the order of `numbers`, and the responses."""
    decoded, distributions = answer(pair, aligned_ids, keys, config)
    responses = [list(d.token_ids) for d in decoded]
    hidden = torch.cat(response_hidden(pair.base, base_ids, responses))  # (N, d)
    if not torch.isfinite(hidden).all():
        raise VeneerError(f"{pair.base.name} gives hidden states that are not finite; its weights may be damaged")
    aligned = TopK(*(torch.cat(column) for column in zip(*distributions, strict=True)))
    columns = {
        "prompt": torch.tensor([n for n, r in zip(numbers, responses, strict=True) for _ in r], dtype=torch.int32),
        "position": torch.tensor([i + 1 for r in responses for i in range(len(r))], dtype=torch.int32),
        "token": torch.tensor([t for r in responses for t in r], dtype=torch.int32),
        "hidden": hidden.to(HIDDEN_DTYPES[config.hidden_dtype]),
        "aligned_ids": aligned.ids,
        "aligned_logprobs": aligned.logprobs,
        "aligned_tail": aligned.tail,
        **base_columns(shared_head(pair), hidden, aligned.ids, config.k),
    }
    return columns, decoded


def text_of(pair: Pair, decoded: Decoded) -> str:
    return response_text(pair.base, decoded.token_ids, set(pair.stop_ids))
