"""The scorers of custom tasks. Answers are untrusted text of any length, so a pattern gets two
seconds per answer."""

from __future__ import annotations

import functools
from typing import Any

import regex  # type: ignore[import-untyped]

from veneer.foundation.errors import InputError
from veneer.prompts.prompt import Prompt
from veneer.tasks.custom_schema import Header
from veneer.tasks.numbers import last_is, stated_is

SECONDS = 2.0


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


def _bare(text: str, header: Header) -> str:
    text = " ".join(text.split()).removesuffix(".")
    return text.casefold() if header.ignore_case else text


def _says(text: str, answer: str, ignore_case: bool) -> bool:
    """Return whether no letter or digit touches the answer where it stands in the text."""
    text, answer = " ".join(text.split()), " ".join(answer.split())
    if ignore_case:
        text, answer = text.casefold(), answer.casefold()
    at = text.find(answer)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(answer) : at + len(answer) + 1]
        if not (_word(before) and _word(answer[:1])) and not (_word(after) and _word(answer[-1:])):
            return True
        at = text.find(answer, at + 1)
    return False


def _word(sign: str) -> bool:
    return sign.isalnum() or sign == "_"
