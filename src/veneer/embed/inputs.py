"""The inputs of an encoder: a text's tokens between its special ones, in batches of one width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def frame(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the special tokens before and behind a text, as the tokenizer itself puts them; none
    where it reads a text otherwise beside them."""
    bare = list(tokenizer("a", add_special_tokens=False)["input_ids"])
    whole = list(tokenizer("a", add_special_tokens=True)["input_ids"])
    starts = [i for i in range(len(whole)) if whole[i : i + len(bare)] == bare]
    return (whole[: starts[0]], whole[starts[0] + len(bare) :]) if starts else ([], [])


def positions(config: Any, tokenizer: Any) -> int:
    """Return the number of tokens that fit in one pass, special ones included."""
    longest = getattr(config, "max_position_embeddings", 512)
    if "roberta" in config.model_type or "mpnet" in config.model_type:
        longest -= config.pad_token_id + 1  # their positions begin behind the padding's
    return min(longest, tokenizer.model_max_length)


def padded(
    rows: Sequence[Sequence[int]], pad: int, device: str | torch.device
) -> tuple[Tensor, Tensor]:
    """Return (ids, mask), both (B, T): padded on the right, 1 at real tokens."""
    width = max(map(len, rows))
    ids = torch.tensor([[*r, *[pad] * (width - len(r))] for r in rows], device=device)
    mask = torch.tensor([[1] * len(r) + [0] * (width - len(r)) for r in rows], device=device)
    return ids, mask
