"""Reasoning and answer of one text, by the marks that models set (styles.py, channels.py).

The rules, in short (docs/thinking.md gives them with examples): a thought begins where the text
begins, or where the prompt has opened it; its closing mark is the one that balances its opening
mark; a closing mark alone makes everything in front of it a thought; a mark that is quoted, in
code, or amid a sentence is only spoken of. What no rule takes apart is an answer as it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import cached_property
from re import Match

from veneer.reasoning.channels import header_at_the_end, split_channels
from veneer.reasoning.mentions import amid_a_sentence, begins_a_line, code_spans, quoted, used
from veneer.reasoning.parts import ResponseParts, joined
from veneer.reasoning.styles import ANY, HEAD, STYLES, WRAPPED, WRAPPERS, Style, style_of

TAIL = 400  # characters of a prompt's end in which an opening mark is looked for
BLANKS = re.compile(r"\s*")
HERE = re.compile("")


def split_reasoning(text: str, *, opened: str = "", certain: Collection[str] = ()) -> ResponseParts:
    """Split a text.

    opened: the mark with which the prompt ended (`opened_by`), so that the text begins within a
    thought. certain: marks that are special tokens of the model that wrote the text: it cannot have
    meant them as words, so they count anywhere.
    """
    if not text.strip() and not (opened and text):
        return ResponseParts(None, text)
    parts = split_channels(text, opened, certain)
    if parts is not None:
        return parts
    if not opened and not ANY.search(text):
        return ResponseParts(None, text)
    return _Reader(f"{opened}\n{text}" if opened else text, certain).parts() or ResponseParts(
        None, text
    )


def opened_by(prompt: str) -> str:
    """Return the opening mark with which a prompt ends, or nothing: `<think>` where a chat template
    opens the thought itself."""
    tail = prompt[-TAIL:]
    if header := header_at_the_end(tail):
        return header
    for style in STYLES:
        for mark in style.open.finditer(tail):
            words = tail[: mark.start()].rstrip(" \t")
            of_a_sentence = words != tail[: mark.start()] and words[-1:].isalnum()
            if not tail[mark.end() :].strip() and not of_a_sentence and not quoted(tail, mark):
                return mark[0].strip()
    return ""


class _Reader:
    """One text, read from its beginning: the thoughts and the pieces of the answer so far."""

    def __init__(self, text: str, certain: Collection[str]):
        self.text, self.certain = text, certain
        self.spans = code_spans(text)
        self.thoughts: list[str] = []
        self.pieces: list[str] = []

    @cached_property
    def opens(self) -> list[tuple[Match[str], Style]]:
        """The opening marks that are no ordinary sentences, in their order."""
        marks = [(m, s) for s in STYLES if not s.prose for m in used(s.open, self.text, self.spans)]
        return sorted(marks, key=lambda pair: pair[0].start())

    @cached_property
    def closes(self) -> list[Match[str]]:
        """The closing marks that may stand alone, in their order."""
        marks = [m for s in STYLES if s.alone for m in used(s.close, self.text, self.spans)]
        return sorted(marks, key=lambda m: m.start())

    def parts(self) -> ResponseParts | None:
        """None where there is no thought."""
        head = HEAD.match(self.text)
        at = self._thoughts_at(head.end() if head else 0)
        if at is not None and not self.thoughts and (mark := self._lone_close()):
            self.thoughts.append(self.text[: mark.start()])
            at = self._thoughts_at(mark.end())
        if at is None:
            return self._cut()
        if not self.thoughts:
            at = 0
        closed = self._later(at)
        if not self.thoughts:
            return None
        if not closed and not "".join(self.pieces).strip():
            return self._cut()
        return ResponseParts(joined(self.thoughts, closed=closed), _answer(self.pieces), closed)

    def _cut(self) -> ResponseParts:
        return ResponseParts(joined(self.thoughts, closed=False) or "", "", closed=False)

    def _thoughts_at(self, at: int) -> int | None:
        """Read the thoughts that begin at this place, one behind the other: where the last one
        ends, or None where it does not."""
        while True:
            begin = self._next_letter(at)
            opening = next(((m, s) for s in STYLES if (m := s.open.match(self.text, begin))), None)
            if opening is None:
                return at
            mark, style = opening
            close = self._close(mark, style)
            if close is None and style.prose and mark[0].strip() not in self.certain:
                return at
            self._keep_thought(mark, style, close)
            if close is None:
                return None
            at = close.end()

    def _keep_thought(self, mark: Match[str], style: Style, close: Match[str] | None) -> None:
        """Keep a thought, without an opening mark that is written twice."""
        start = mark.end()
        while again := style.open.match(self.text, self._next_letter(start)):
            start = again.end()
        self.thoughts.append(self.text[start : max(start, close.start()) if close else None])

    def _next_letter(self, at: int) -> int:
        blanks = BLANKS.match(self.text, at)
        return blanks.end() if blanks else at

    def _close(self, mark: Match[str], style: Style) -> Match[str] | None:
        """Return the mark that closes the thought: the one that balances its opening mark, or else
        the last one. Marks in code and in quotes count only where there are no others, tags of
        another name only where there are none of its own."""
        own, start = style_of(mark, style), mark.end()
        first = next(used(own.close, self.text, self.spans, start), None)
        if first is None:
            other = next(used(style.close, self.text, self.spans, start), None)
            return other or own.close.search(self.text, start) or self._wrapper(start)
        if not own.open.search(self.text, start, first.start()):
            return first
        closes = list(used(own.close, self.text, self.spans, start))
        opens = [
            m
            for m in used(own.open, self.text, self.spans, start)
            if not amid_a_sentence(self.text, m)
        ]
        steps = sorted(
            [(m.start(), 1, m) for m in opens] + [(m.start(), -1, m) for m in closes],
            key=lambda step: step[0],
        )
        depth = 1
        for _, step, one in steps:
            depth += step
            if not depth:
                return one
        return closes[-1]

    def _wrapper(self, start: int) -> Match[str] | None:
        """Return the place of an `<answer>` that begins a line in a thought without a closing
        mark."""
        for mark in WRAPPED.finditer(self.text, start):
            begin = self._next_letter(mark.start())
            if "\n" in self.text[mark.start() : begin] or begins_a_line(self.text, mark):
                return HERE.match(self.text, begin)
        return None

    def _lone_close(self) -> Match[str] | None:
        """Return the closing mark of a thought whose opening mark stands in the prompt. A mark that
        was opened before, in the text's midst, is a part of an answer that shows both."""
        mark = next((m for m in self.closes if not amid_a_sentence(self.text, m)), None)
        if mark is None or any(
            m.start() < mark.start() and not amid_a_sentence(self.text, m) for m, _ in self.opens
        ):
            return None
        return mark

    def _later(self, at: int) -> bool:
        """Read the answer behind the first thoughts, and further thoughts where a mark begins a
        line. Return False where the last one is not closed."""
        while True:
            opening = next((pair for pair in self._behind(self.opens, at)), None)
            stray = next(
                (m for m in self.closes if m[0] and m.start() >= at and self._counts(m)), None
            )
            if stray is not None and (opening is None or stray.start() < opening[0].start()):
                self.thoughts.append(self.text[at : stray.start()])
                at = stray.end()
                continue
            if opening is None:
                self.pieces.append(self.text[at:])
                return True
            first = not self.thoughts
            self.pieces.append(self.text[at : opening[0].start()])
            close = self._close(*opening)
            self._keep_thought(*opening, close)
            if close is None:
                if first:  # what stands in front of a first thought is no answer yet
                    self.thoughts[:0], self.pieces = self.pieces, []
                return False
            at = close.end()

    def _behind(
        self, opens: list[tuple[Match[str], Style]], at: int
    ) -> Iterator[tuple[Match[str], Style]]:
        return ((m, s) for m, s in opens if m.start() >= at and self._counts(m))

    def _counts(self, mark: Match[str]) -> bool:
        """Behind the first thought a mark counts where it begins a line, or is a special token;
        before it, only the latter."""
        return mark[0].strip() in self.certain or (
            bool(self.thoughts) and begins_a_line(self.text, mark)
        )


def _answer(pieces: list[str]) -> str:
    """Return the answer's pieces as one text, out of the tag that a model puts around it."""
    text = "\n\n".join(p.strip() for p in pieces[:-1] if p.strip())
    last = pieces[-1].lstrip() if pieces else ""
    text = f"{text}\n\n{last}" if text and last else text or last
    for open, close in WRAPPERS:
        if mark := open.match(text):
            inner = text[mark.end() :]
            end = close.search(inner)
            if end is None:
                return inner.lstrip()
            rest = inner[end.end() :].strip()
            return inner[: end.start()].strip() + (f"\n\n{rest}" if rest else "")
    return text
