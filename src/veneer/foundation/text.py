"""The words of an answer, as Lake, Choi and Durrett count them (arXiv 2406.17692): clean, words,
tok and Jaccard."""

from __future__ import annotations

import re
from collections.abc import Set

FENCE = "```"
TOKEN = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")


def clean(text: str) -> str:
    """Return the text without outer white space and without one closing code fence: base's answers
    follow an open fence and close it themselves."""
    return text.strip().removesuffix(FENCE).strip()


def words(text: str) -> list[str]:
    """Return the words of the cleaned text, separated by white space; their number is the answer's
    length."""
    return clean(text).split()


def tok(text: str) -> frozenset[str]:
    """Return the set of lower-case words, numbers, and words with an apostrophe's ending, of the
    cleaned text."""
    return frozenset(TOKEN.findall(clean(text).lower()))


def tok_list(text: str) -> list[str]:
    """Return the same tokens in their order, with repetitions, for n-gram measures."""
    return TOKEN.findall(clean(text).lower())


def first_words(text: str, count: int) -> str:
    """Return the first `count` words of the cleaned text, for controls at equal length."""
    return " ".join(words(text)[:count])


def sentences(text: str) -> list[str]:
    """Return the sentences of the cleaned text, split at line ends and behind . ! ?; pieces without
    a token (dots of list numbers, rules) are dropped."""
    return [
        s.strip()
        for s in SENTENCE_END.split(clean(text))
        if TOKEN.search(s.lower()) and not s.strip(" .)").isdigit()
    ]


def jaccard(a: Set[str], b: Set[str]) -> float:
    """Return |a and b| / |a or b|; 1 for two empty sets."""
    both = len(a & b)
    either = len(a) + len(b) - both
    return both / either if either else 1.0
