"""Words of an answer, as Lake, Choi and Durrett's figures are computed (arXiv 2406.17692): clean,
words, tok and Jaccard."""

from __future__ import annotations

import re
from collections.abc import Set

FENCE = "```"
TOKEN = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")


def clean(text: str) -> str:
    """Without outer white space and without one closing code fence: base's answers stand in a fence
    that they close themselves."""
    return text.strip().removesuffix(FENCE).strip()


def words(text: str) -> list[str]:
    """White-space separated words of the cleaned text; their number is the answer's length."""
    return clean(text).split()


def tok(text: str) -> frozenset[str]:
    """The set of lower-case words, numbers, and words with an apostrophe's ending, of
    the cleaned text."""
    return frozenset(TOKEN.findall(clean(text).lower()))


def tok_list(text: str) -> list[str]:
    """The same tokens in their order, with repetitions: for n-gram measures."""
    return TOKEN.findall(clean(text).lower())


def first_words(text: str, count: int) -> str:
    """The first `count` words of the cleaned text, for controls at equal length."""
    return " ".join(words(text)[:count])


def sentences(text: str) -> list[str]:
    """Sentences of the cleaned text: split at line ends and behind . ! ?; pieces without a token
    (list numbers' dots, rules) go."""
    return [
        s.strip()
        for s in SENTENCE_END.split(clean(text))
        if TOKEN.search(s.lower()) and not s.strip(" .)").isdigit()
    ]


def jaccard(a: Set[str], b: Set[str]) -> float:
    """|a and b| / |a or b|; 1 for two empty sets."""
    both = len(a & b)
    either = len(a) + len(b) - both
    return both / either if either else 1.0
