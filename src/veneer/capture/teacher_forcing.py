"""Teacher forcing: a model's hidden states on given texts, in one batched pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
    model reads padding, a batch is of one length.
    """
    rows = [[*p, *r[:-1]] for p, r in zip(prompts, responses, strict=True)]
    out: list[Tensor] = [torch.empty(0)] * len(rows)
    # refuses a model that is not causal at that length
    lm.abilities.right(max(map(len, rows), default=0))
    for batch in _batches([len(r) for r in rows], lm):
        # equal prompts may share their answers' start too
        within_prompts = min(len(prompts[i]) for i in batch) - 1
        begun = start(lm, [rows[i] for i in batch], side="right", most=within_prompts)
        hidden = lm.hidden(begun.ids, begun.mask, begun.cache)  # (B, T, d)
        read = begun.mask.shape[1] - begun.ids.shape[1]  # tokens that the cache had read already
        for place, i in enumerate(batch):
            first = len(prompts[i]) - 1 - read
            out[i] = hidden[place, first : first + len(responses[i])].clone()
    return out


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
