"""Teacher forcing: a model's hidden states on given texts, in one batched pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from veneer.models.language_model import LanguageModel
from veneer.models.prefix import start

PADDED_TOKENS = 4096  # in one pass of the backbone


@torch.inference_mode()
def response_hidden(
    lm: LanguageModel, prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]]
) -> list[Tensor]:
    """The hidden states (n_i, d) from which each response's n_i tokens are predicted, in
    the order given.

    Rows are batched by length; a batch's common beginning is read once. Where the
    model reads padding, a batch is of one length. A response that crosses a length at which all
    states change (`Abilities.turns`) is read once for each side, as decoding reads it.
    """
    texts = [[*p, *r[:-1]] for p, r in zip(prompts, responses, strict=True)]
    # refuses a model that is not causal at that length
    turns = lm.abilities.turns(max(map(len, texts), default=0))
    # each reading: a row of `texts`, where its tokens end, and its first state that is wanted
    readings = [
        (i, end, first)
        for i, (text, prompt) in enumerate(zip(texts, prompts, strict=True))
        for first, end in pairwise(
            [len(prompt) - 1, *(n for n in turns if len(prompt) <= n < len(text)), len(text)]
        )
    ]
    parts: list[list[Tensor]] = [[] for _ in texts]
    for batch in _batches([end for _, end, _ in readings], lm):
        rows = [texts[i][:end] for i, end, _ in (readings[r] for r in batch)]
        # equal prompts may share their answers' start too
        within_prompts = min(readings[r][2] for r in batch)
        begun = start(lm, rows, side="right", most=within_prompts)
        hidden = lm.hidden(begun.ids, begun.mask, begun.cache)  # (B, T, d)
        read = begun.mask.shape[1] - begun.ids.shape[1]  # tokens that the cache had read already
        for place, r in enumerate(batch):
            i, end, first = readings[r]
            parts[i].append(hidden[place, first - read : end - read].clone())
    return [
        (own[0] if len(own) == 1 else torch.cat(own))[: len(response)]
        for own, response in zip(parts, responses, strict=True)
    ]


def _batches(lengths: Sequence[int], lm: LanguageModel) -> Iterator[list[int]]:
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
    batch: list[int] = []
    for i in order:
        full = batch and (len(batch) + 1) * lengths[i] > PADDED_TOKENS
        if full or (
            batch and lengths[i] != lengths[batch[-1]] and not lm.abilities.right(lengths[i])
        ):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
