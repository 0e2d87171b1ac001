"""ROUGE-1 (Lin 2004): the words that two texts have in common."""

from __future__ import annotations

import re
from collections import Counter


def words(text: str) -> list[str]:
    """Runs of a-z and 0-9 in lower case, as the package rouge-score splits a text
    without its stemmer."""
    return re.findall(r"[a-z0-9]+", text.lower())


def rouge1(text: str, reference: str) -> float:
    """Return the F measure of the common words, each counted as often as both texts hold it: 0 to
    1, and 0 where a text has no words."""
    counts, expected = Counter(words(text)), Counter(words(reference))
    common = (counts & expected).total()
    return 2 * common / (counts.total() + expected.total()) if common else 0.0
