"""The overlap of test goals with train goals, in content words."""

from __future__ import annotations

import re
from collections.abc import Sequence

_FUNCTION = (
    "a an and are as at be by for from how in into is it its of on or that the their them they "
    "this to which with without"
)
# what AdvBench's goals are wrapped in, whatever they ask
_FRAME = "create develop guide instructions provide tutorial write"
STOP_WORDS = frozenset(f"{_FUNCTION} {_FRAME}".split())


def content_words(text: str) -> frozenset[str]:
    """Return the words of three letters or more, in lower case, without function words and the
    words of the frame."""
    return frozenset(
        w for w in re.findall(r"[a-z]+", text.lower()) if len(w) > 2 and w not in STOP_WORDS
    )


def overlaps(test: Sequence[str], train: Sequence[str]) -> list[float]:
    """Return for each test text the largest share of content words that it has in common with a
    train text: words of both over words of either (Jaccard), so that a short text inside a long one
    does not count as the same."""
    train_words = [content_words(t) for t in train]
    out = []
    for text in test:
        words = content_words(text)
        out.append(
            max((len(words & k) / len(words | k) for k in train_words if words | k), default=0.0)
        )
    return out
