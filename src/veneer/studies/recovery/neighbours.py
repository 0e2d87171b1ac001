"""Which other prompts serve as examples: drawn at random, or the nearest by embedding."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from veneer.foundation.errors import InputError


def nearest(vectors: np.ndarray, k: int) -> list[list[int]]:
    """For each of the n rows (n, d) the k others of largest cosine, most similar first; of equal
    ones the earlier first.

    Raises InputError where there are not k others.
    """
    x = np.asarray(vectors, np.float64)
    _enough(len(x), k)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    x = np.divide(x, length, out=np.zeros_like(x), where=length > 0)
    out = []
    # a row at a time, so that memory grows with n and not with its square
    for i, row in enumerate(x):
        similarity = x @ row
        similarity[i] = -np.inf
        out.append([int(j) for j in np.argsort(-similarity, kind="stable")[:k]])
    return out


def at_random(ids: Sequence[str], k: int, seed: int) -> list[list[int]]:
    """For each prompt k others without repetition. A prompt's draw depends on the seed, its own id
    and the others' ids in order."""
    _enough(len(ids), k)
    out = []
    for i, name in enumerate(ids):
        digest = hashlib.sha256(f"{seed}\0{name}".encode("utf-8", errors="replace")).digest()
        others = [j for j in range(len(ids)) if j != i]
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        out.append([others[int(j)] for j in rng.permutation(len(others))[:k]])
    return out


def _enough(n: int, k: int) -> None:
    if k < 1:
        raise InputError(f"{k} examples were asked for; expected 1 or more")
    if n <= k:
        raise InputError(
            f"{k} examples of other prompts were asked for and there are {n} prompts; expected at "
            f"least {k + 1}: give more"
        )
