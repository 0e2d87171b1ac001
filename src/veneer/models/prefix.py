"""A batch starts once: what all its rows have in common at their beginning is read once and its cache is shared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from veneer.models.language_model import LanguageModel

SHORTEST = 4  # tokens; a shorter prefix is not worth a pass of its own


def common_prefix(rows: Sequence[Sequence[int]]) -> int:
    """Length of the longest prefix that all rows share, each keeping one token of its own."""
    ordered = sorted(list(r) for r in rows)
    first, last = ordered[0], ordered[-1]
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return min(length, min(len(r) for r in rows) - 1)


def start(
    lm: LanguageModel, rows: Sequence[Sequence[int]], *, side: Literal["left", "right"], most: int | None = None
) -> tuple[Tensor, Tensor, Any]:
    """(ids, mask, cache) for a batch of rows, padded on one side.

    ids (B, T): what the model has still to read. mask (B, P + T): 1 at real tokens, P the shared prefix that the cache has
    read already (0 where nothing was worth sharing), at most `most` tokens: of what is read there no hidden states come back.
    cache: None for an architecture without one.
    """
    cache = lm.new_cache()
    shared = common_prefix(rows) if len(rows) > 1 and cache is not None and can_share(lm, max(len(r) for r in rows)) else 0
    shared = min(shared, most if most is not None else shared)
    if shared < SHORTEST:
        shared = 0
    else:
        prefix = torch.tensor([list(rows[0][:shared])], device=lm.device)
        lm.hidden(prefix, torch.ones_like(prefix), cache)
        cache.batch_repeat_interleave(len(rows))
    rest = [list(r[shared:]) for r in rows]
    width = max(len(r) for r in rest)
    gap = [width - len(r) for r in rest]
    if side == "left":
        ids = [[lm.pad_id] * g + r for g, r in zip(gap, rest, strict=True)]
        mask = [[1] * shared + [0] * g + [1] * len(r) for g, r in zip(gap, rest, strict=True)]
    else:
        ids = [r + [lm.pad_id] * g for g, r in zip(gap, rest, strict=True)]
        mask = [[1] * (shared + len(r)) + [0] * g for g, r in zip(gap, rest, strict=True)]
    return torch.tensor(ids, device=lm.device), torch.tensor(mask, device=lm.device), cache


def can_share(lm: LanguageModel, longest: int) -> bool:
    """Recurrent states cannot be repeated, and a sliding window counts padding that stands in the middle."""
    config = lm.config.get_text_config(decoder=True)
    types = set(getattr(config, "layer_types", None) or ["full_attention"])
    window = getattr(config, "sliding_window", None)
    if not lm.takes_positions or not types <= {"full_attention", "sliding_attention"}:
        return False
    return window is None or longest + 1024 < window or (types == {"full_attention"} and hasattr(config, "layer_types"))
