"""Topics: groups of raised tokens that C says in the same places, by non-negative matrix
factorisation (Lee & Seung 2001)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from veneer.studies.audit.taught.mining import Mined

STEPS = 200  # of the multiplicative updates
TOKENS = 8  # shown of a topic


@dataclass(frozen=True)
class Topic:
    """ids: its tokens, the heaviest first. share: of the weight of all topics."""

    ids: tuple[int, ...]
    share: float


def topics(mined: Mined, ids: Sequence[int], count: int, *, seed: int = 0) -> list[Topic]:
    """At most `count` topics of these tokens.

    Factorised is the matrix of positions and tokens with the square roots of the tokens' parts of
    the distance, which is sparse: at each position only the tokens with the largest parts are kept.
    Each token belongs to the topic in which its weight, over all positions, is largest.
    """
    column = {id: n for n, id in enumerate(ids)}
    tokens, parts = mined.tokens.numpy(), mined.parts.numpy()
    rows, places = np.nonzero(np.isin(tokens, list(column)) & (parts > 0))
    if not len(rows):
        return []
    columns = np.array([column[id] for id in tokens[rows, places]])
    x = sparse.csr_array(
        (np.sqrt(parts[rows, places].astype(float)), (rows, columns)), (len(tokens), len(ids))
    )
    x = x[np.unique(rows)]
    w, h = factorise(x, min(count, len(ids)), seed=seed)
    weights = w.sum(0)[:, None] * h  # (topics, tokens)
    own = weights.argmax(0)
    result = []
    for number in range(len(weights)):
        order = np.argsort(-weights[number], kind="stable")
        kept = tuple(ids[i] for i in order if own[i] == number)[:TOKENS]
        if kept:
            result.append(Topic(kept, float(weights[number].sum() / weights.sum())))
    return sorted(result, key=lambda t: -t.share)


def factorise(
    x: sparse.csr_array, rank: int, *, seed: int = 0, steps: int = STEPS
) -> tuple[np.ndarray, np.ndarray]:
    """w (n, rank) and h (rank, m), none negative, with w h near x (n, m) in Frobenius norm, by
    multiplicative updates (Lee & Seung 2001, theorem 1); x stays sparse."""
    draw = np.random.default_rng(seed)
    scale = np.sqrt(x.mean() / rank)
    w, h = (
        scale * draw.uniform(0.5, 1.5, shape) for shape in ((x.shape[0], rank), (rank, x.shape[1]))
    )
    tiny = np.finfo(float).tiny
    for _ in range(steps):
        h *= (x.T @ w).T / (w.T @ w @ h + tiny)
        w *= (x @ h.T) / (w @ (h @ h.T) + tiny)
    return w, h
