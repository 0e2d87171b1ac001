"""Prompts that are related: they ask for the same thing, or for its harmless counterpart, in almost
the same words. What is learnt from one of them is known of the others."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import combinations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from veneer.tasks.overlap import content_words

NEAR = 0.5  # share of content words in common, as for AdvBench's copies of train goals


def groups_of(keys: Sequence[Iterable[Hashable]]) -> list[int]:
    """Return a group number per item: items that have a key in common, directly or through others,
    are in one group. An item without a key is a group of its own."""
    number: dict[Hashable, int] = {}
    links = [(i, number.setdefault(k, len(number))) for i, own in enumerate(keys) for k in own]
    n = len(keys) + len(number)
    rows, columns = np.array(links, int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(links)), (rows, len(keys) + columns)), shape=(n, n))
    return connected_components(graph, directed=False)[1][: len(keys)].tolist()


def near_copies(texts: Sequence[str]) -> list[int]:
    """Return a group number per text: two texts are in one group where half or more of the content
    words of both are common to them (Jaccard)."""
    words = [content_words(text) for text in texts]
    keys: list[list[int]] = [[] for _ in texts]
    for pair, (i, j) in enumerate(combinations(range(len(texts)), 2)):
        either = words[i] | words[j]
        if either and len(words[i] & words[j]) >= NEAR * len(either):
            keys[i].append(pair)
            keys[j].append(pair)
    return groups_of(keys)
