"""Streams of a terminal that strangers' texts (names of tasks, systems and files, model output)
cannot command: no bidirectional controls, no escape sequences but colours and cursor moves."""

from __future__ import annotations

import re
from io import TextIOWrapper
from typing import Any

from veneer.foundation.invisible import spelled

# what progress bars and tables write themselves: colours, cursor up, erase line, cursor off and on
_OWN = re.compile("(\x1b\\[(?:[0-9;]*[mAK]|\\?25[hl]))")


def guard(stream: Any) -> None:
    """Let a text stream spell out what a terminal would obey, and characters that its encoding
    lacks. Where it is no terminal, no escape sequence passes; where one is, Veneer's own tables and
    bars need theirs."""
    if stream is None:
        return
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    write, own = stream.write, stream.isatty()

    def guarded(text: str) -> int:
        if text.isascii() and text.isprintable():
            return int(write(text))
        parts = _OWN.split(text) if own else [text]
        write("".join(p if own and _OWN.fullmatch(p) else _lines(p) for p in parts))
        return len(text)

    stream.write = guarded


def _lines(text: str) -> str:
    """Spelled out, with the carriage returns that progress lines and Windows write."""
    return "\r".join(spelled(line) for line in text.split("\r"))
