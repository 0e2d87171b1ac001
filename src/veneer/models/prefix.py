"""Reading a batch's common beginning once: it is read once and its
cache is shared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from veneer.models.language_model import LanguageModel

SHORTEST = 4  # tokens; a shorter prefix is not worth a pass of its own
ROOM = 1024  # tokens before a window; an answer that needs more costs a second reading of its batch


def common_prefix(rows: Sequence[Sequence[int]]) -> int:
    """Length of the longest prefix that all rows share, each keeping one token of its own."""
    ordered = sorted(list(r) for r in rows)
    first, last = ordered[0], ordered[-1]
    length = next(
        (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b),
        min(len(first), len(last)),
    )
    return min(length, min(len(r) for r in rows) - 1)


@dataclass
class Start:
    """A batch that is to be read. ids (B, T): the tokens that are not read yet. mask (B, P + T): 1
    at real tokens, P the shared prefix that the cache has read (0 where nothing was worth
    sharing). cache: None for a model without one. gaps: whether padding stands between the prefix
    and the rest."""

    ids: Tensor
    mask: Tensor
    cache: Any
    gaps: bool = False


def start(
    lm: LanguageModel,
    rows: Sequence[Sequence[int]],
    *,
    side: Literal["left", "right"],
    most: int | None = None,
    cached: bool = True,
) -> Start:
    """A batch of rows, padded on one side. What all share at the beginning is read here, at
    most `most` tokens of it: no hidden states of these come back. cached: whether a cache
    may be used at all."""
    cache = lm.new_cache() if cached else None
    shared = (
        common_prefix(rows)
        if len(rows) > 1 and cache is not None and can_share(lm, max(len(r) for r in rows))
        else 0
    )
    shared = min(shared, most if most is not None else shared)
    if shared < SHORTEST or cache is None:
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
    gaps = side == "left" and shared > 0 and any(gap)
    return Start(
        torch.tensor(ids, device=lm.device), torch.tensor(mask, device=lm.device), cache, gaps
    )


def can_share(lm: LanguageModel, longest: int) -> bool:
    """Whether rows of up to `longest` tokens may be padded behind what they share. A window counts
    such padding as tokens, so there must be room before it; a batch that outgrows the room is read
    anew (reader.py)."""
    lengths = lm.abilities.lengths
    return (not lengths or longest + ROOM < lengths[0]) and lm.abilities.shares
