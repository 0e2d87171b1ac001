"""Split long texts: an encoder reads a limited number of tokens, and nothing is cut off
silently."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from veneer.embed.embedder import unit_rows


def chunks(ids: Sequence[int], longest: int) -> list[list[int]]:
    """Split `ids` into the fewest pieces of at most `longest`, equal in length to within one; no
    ids give no piece."""
    count = -(-len(ids) // longest)
    ends = [len(ids) * i // count for i in range(count + 1)] if count else []
    return [list(ids[a:b]) for a, b in pairwise(ends)]


def join_chunks(
    vectors: np.ndarray, owner: Sequence[int], tokens: Sequence[int], texts: int
) -> np.ndarray:
    """Return (texts, d): each text's chunk vectors (n, d), weighted by their tokens, summed and
    scaled to length 1."""
    out = np.zeros((texts, vectors.shape[-1]))
    np.add.at(out, np.asarray(owner, dtype=int), vectors * np.asarray(tokens, dtype=float)[:, None])
    return unit_rows(out)
