"""Streams of a terminal that strangers' texts (names of tasks, systems and files, model output)
cannot command: no bidirectional controls, no escape sequences but colours and cursor moves."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import wraps
from io import TextIOWrapper
from typing import Any

from veneer.foundation.invisible import spelled

# what progress bars and tables write themselves: colours, cursor up, erase line, cursor off and on
_OWN = re.compile("(\x1b\\[(?:[0-9;]*[mAK]|\\?25[hl]))")


def guard(stream: Any) -> None:
    """Let a text stream spell out what a terminal would obey, and characters that its encoding
    lacks. Where it is no terminal, no escape sequence passes; where one is, Veneer's own tables and
    bars need theirs. Once nobody reads the stream (`veneer run 2>&1 | head`), what is written to
    it is dropped, and the command goes on: it ended with exit code 0 and half of its work."""
    if stream is None:
        return
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
        stream.flush = _unread(stream, stream.flush)  # type: ignore[method-assign]
        stream.write = _unread(stream, stream.write)  # type: ignore[method-assign]
    write, own = stream.write, stream.isatty()

    def guarded(text: str) -> int:
        if text.isascii() and text.isprintable():
            return int(write(text))
        parts = _OWN.split(text) if own else [text]
        write("".join(p if own and _OWN.fullmatch(p) else _lines(p) for p in parts))
        return len(text)

    stream.write = guarded


def _unread(stream: TextIOWrapper, act: Callable[..., Any]) -> Callable[..., Any]:
    """The method of a stream; the null device takes the place of a reader that has gone."""

    @wraps(act)
    def acting(*args: Any) -> Any:
        try:
            return act(*args)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            return act(*args)

    return acting


def _lines(text: str) -> str:
    """Spelled out, with the carriage returns that progress lines and Windows write."""
    return "\r".join(spelled(line) for line in text.split("\r"))
