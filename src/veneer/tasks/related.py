"""Prompts that are related: they ask for the same thing, or for its harmless counterpart, in almost
the same words. What is learnt from one of them is known of the others."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import combinations

from veneer.prompts.clusters import groups_of, same_text
from veneer.tasks.overlap import content_words

NEAR = 0.5  # share of content words in common, as for AdvBench's copies of train goals


def near_copies(texts: Sequence[str]) -> list[int]:
    """Return a group number per text: two texts are in one group where they are the same text, and
    where half or more of the content words of both are common to them (Jaccard)."""
    words = [content_words(text) for text in texts]
    keys: list[list[Hashable]] = [[same_text(text)] for text in texts]
    for pair, (i, j) in enumerate(combinations(range(len(texts)), 2)):
        either = words[i] | words[j]
        if either and len(words[i] & words[j]) >= NEAR * len(either):
            keys[i].append(pair)
            keys[j].append(pair)
    return groups_of(keys)
