"""The scorers of custom tasks. Answers are untrusted text of any length, so a pattern gets two
seconds per answer."""

from __future__ import annotations

import functools
import unicodedata
from typing import Any

import regex  # type: ignore[import-untyped]

from veneer.foundation.errors import InputError
from veneer.foundation.text import one_line
from veneer.prompts.prompt import Prompt
from veneer.tasks.custom_schema import Header
from veneer.tasks.numbers import last_is, stated_is

SECONDS = 2.0
# Chinese, Japanese, Thai and the like write no blanks between words, Korean none before particles
UNSPACED = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}ー々]"
)
# a place inside one number: before or behind the point of 5.5 and the comma of 1,234, behind the
# sign of -5 and the point of .5
IN_A_NUMBER = regex.compile(
    r"(?<=\d)\.\d|(?<=\d\.)\d|(?<=\d),\d{3}(?!\d)|(?<=\d,)\d{3}(?!\d)"
    r"|(?<=(?:^|[\s($€£=:])(?:[-−–][$€£]?|[-−–]?\.))\d"
)


def scored(header: Header, prompt: Prompt, text: str) -> dict[str, float]:
    """Return the metrics of an answer. exact: the whole answer, without blanks at its ends and a
    closing full stop. contains: the answer as separate words. number: the last number, and
    accuracy_strict for the one stated as the answer. regex: the pattern matches. choice and judges:
    no metrics here."""
    if header.scorer == "exact":
        return {
            "accuracy": float(
                any(_bare(text, header) == _bare(a, header) for a in prompt.reference["answer"])
            )
        }
    if header.scorer == "contains":
        return {
            "accuracy": float(
                any(_says(text, a, header.ignore_case) for a in prompt.reference["answer"])
            )
        }
    if header.scorer == "number":
        answer = prompt.reference["answer"]
        return {
            "accuracy": float(last_is(text, answer)),
            "accuracy_strict": float(stated_is(text, answer)),
        }
    if header.scorer == "regex":
        return {
            "match_rate": float(
                _found(prompt.reference["pattern"], header.ignore_case, text, prompt.id)
            )
        }
    return {}


@functools.lru_cache(maxsize=4096)
def compiled(pattern: str, ignore_case: bool, where: str = "the pattern") -> Any:
    """Compile a pattern of the package regex, which reads Python's. Raises InputError for a text
    that is no regular expression."""
    try:
        return regex.compile(pattern, regex.IGNORECASE if ignore_case else 0)
    except regex.error as error:
        raise InputError(
            f"{where} has the pattern {pattern!r}, which is no regular expression ({error})"
        ) from None


def _found(pattern: str, ignore_case: bool, text: str, id: str) -> bool:
    try:
        return compiled(pattern, ignore_case).search(text, timeout=SECONDS) is not None
    except TimeoutError:
        raise InputError(
            f"the pattern {pattern!r} took longer than {SECONDS:g} s on the answer to {id} "
            f"({len(text)} characters); write it without repetitions inside repetitions"
        ) from None


def is_blank(answer: str, header: Header) -> bool:
    """Return whether nothing of an expected answer is left to compare."""
    return not (_bare(answer, header) if header.scorer == "exact" else answer.strip())


def _bare(text: str, header: Header) -> str:
    return _plain(text, header.ignore_case).removesuffix(".").removesuffix("。")


def _plain(text: str, ignore_case: bool) -> str:
    """Return a text with single blanks, and each letter with its accent in one character, as which
    another program may have written two."""
    text = one_line(text)
    return text.casefold() if ignore_case else text


def _says(text: str, answer: str, ignore_case: bool) -> bool:
    """Return whether the answer stands in the text as words of its own: no letter or digit touches
    it, and it is no part of a longer number. Scripts without blanks between their words have
    no such bounds."""
    text, answer = _plain(text, ignore_case), _plain(answer, ignore_case)
    at = text.find(answer)
    while at >= 0:
        end = at + len(answer)
        before, after = text[max(0, at - 1) : at], text[end : end + 1]
        within = (_word(before) and _word(answer[:1])) or (_word(after) and _word(answer[-1:]))
        if not within and not IN_A_NUMBER.match(text, at) and not IN_A_NUMBER.match(text, end):
            return True
        at = text.find(answer, at + 1)
    return False


def _word(sign: str) -> bool:
    """Return whether a character, or none, is a part of a word whose script has bounds: a letter, a
    digit, or a vowel sign or accent of its own."""
    if not sign or UNSPACED.match(sign):
        return False
    return sign == "_" or unicodedata.category(sign)[0] in "LNM"
