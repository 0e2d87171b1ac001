"""Which vocabulary rows may change: those that either model uses. The others keep base's values."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from veneer.head.tokens import Tokens


def used_rows(tokens: Tokens, vocabulary: int, threshold: float) -> Tensor:
    """Ids (R,), ascending, of the tokens to which either model gives a probability above `threshold` at some position.

    threshold 0: all rows. A fixed row's part of the normaliser is a constant at each position (see problem.py).
    """
    if threshold <= 0:
        return torch.arange(vocabulary)
    used = torch.zeros(vocabulary, dtype=torch.bool)
    limit = math.log(threshold)
    for block in tokens:
        for side in ("aligned", "base"):
            used[block[f"{side}_ids"][block[f"{side}_logprobs"] > limit].long().cpu()] = True
    return used.nonzero()[:, 0]
