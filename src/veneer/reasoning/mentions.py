"""Whether a mark is used or only mentioned: an answer may explain what `<think>` is for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from re import Match, Pattern

CODE = re.compile(r"```.*?```|~~~.*?~~~|``[^\n]+?``|`[^`\n]+`", re.S)
QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "„": "“", "「": "」", "(": ")"}
GOES_ON = re.compile(r"[ \t]*[a-z,.;:!?)]")  # the sentence goes on behind the mark
ENDED = tuple(".!?。！？…)]}>|\"'”*`")
NEAR = 200  # characters in front of a mark that are looked at


def code_spans(text: str) -> list[tuple[int, int]]:
    """(begin, end) of code between backticks, blocks and inline. A fence that
    nothing closes is none."""
    return [m.span() for m in CODE.finditer(text)]


def used(
    pattern: Pattern[str], text: str, spans: list[tuple[int, int]], start: int = 0
) -> Iterator[Match[str]]:
    """The matches behind `start` that stand neither in code nor in quotes."""
    return (
        m
        for m in pattern.finditer(text, start)
        if not quoted(text, m) and not any(a <= m.start() < b for a, b in spans)
    )


def quoted(text: str, mark: Match[str]) -> bool:
    before, after = text[mark.start() - 1 : mark.start()], text[mark.end() : mark.end() + 1]
    return before in QUOTES and QUOTES[before] == after


def amid_a_sentence(text: str, mark: Match[str]) -> bool:
    """Return whether a word and a blank precede the mark and the sentence continues behind it: "the
    </think> tag closes it"."""
    before = text[max(0, mark.start() - NEAR) : mark.start()]
    words = before.rstrip(" \t")
    if not words or words == before or words.endswith(("\n", *ENDED)):
        return False
    return bool(GOES_ON.match(text, mark.end()))


def begins_a_line(text: str, mark: Match[str]) -> bool:
    before = text[max(0, mark.start() - NEAR) : mark.start()].rstrip(" \t")
    return not before or before.endswith("\n")
