"""Whole numbers in English words: eighteen, one hundred and five."""

from __future__ import annotations

import re

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SMALL = {word: n for n, word in enumerate(_ONES.split())} | {
    word: 10 * n for n, word in enumerate(_TENS.split(), 2)
}
_LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_ANY = "|".join([*_SMALL, "hundred", *_LARGE])
_words = re.compile(
    rf"\W{{0,9}}(?P<minus>minus\s+|negative\s+)?(?P<words>(?:an?\s+(?=hundred|thousand|million))?"
    rf"\b(?:{_ANY})\b(?:[\s-]+(?:and\s+)?(?:{_ANY})\b){{0,20}})",
    re.IGNORECASE,
)
# "one of them" and "two thirds" are no whole number, and "two plus three" is not yet the result
_NO_END = re.compile(
    r"[\s-]+(?:of|or|to|out|over|point|times|plus|minus|less|more|divided|multiplied|and\s+an?|\w+ths?|"
    r"thirds?|quarters?|hal(?:f|ves)|\w+\s+(?:and|\d+))\b|\s*[+*/×÷=-]",
    re.IGNORECASE,
)


def number_in_words(text: str) -> tuple[int, int] | None:
    """Return the number in words with which a text begins, and the index behind it; None where
    there is none, and for an order of words that is no number, such as "two three"."""
    match = _words.match(text)
    if match is None or _NO_END.match(text, match.end()):
        return None
    value = _value(re.findall("[a-z]+", match["words"].lower()))
    return None if value is None else (-value if match["minus"] else value, match.end())


def _value(words: list[str]) -> int | None:
    total, group, last = 0, 0, 10**12  # last: what the next word must be smaller than
    for word in words:
        if word in ("and", "a", "an"):
            continue
        if word in _LARGE:
            if _LARGE[word] >= (total or 10**12):
                return None
            total, group, last = total + (group or 1) * _LARGE[word], 0, 10**12
        elif word == "hundred":
            if group > 99:
                return None
            group, last = (group or 1) * 100, 100
        else:
            n = _SMALL[word]
            if n >= last:
                return None
            group, last = group + n, 10 if n >= 20 else 1
    return total + group
