"""Text of an answer while its tokens come, never taking anything back."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from veneer.models.thoughts import Thoughts
from veneer.reasoning.styles import may_begin

UNFINISHED = "\ufffd"  # what decoders write for bytes that are no character yet
OPEN_MARK = re.compile(
    r"[<\[◁][^<>\[\]▷\n]*$"
)  # what may become a mark behind a thought: of the answer's end, or of another thought
LONGEST_MARK = 40
# letters behind a space that a tokenizer which cleans up may join to the word before: " 've"
CLEANED = 4


class TextStream:
    """Turns tokens into pieces of text that can be sent at once: put together they are the
    text of `Decoded`.

    Held back until it is certain: the bytes of an unfinished character, a space that the tokenizer
    may take away again, and whatever could be the beginning of a stop string. `stopped` says that a
    stop string was reached: nothing comes behind it.
    """

    def __init__(
        self, tokenizer: Any, *, stop_ids: Collection[int] = (), stop_strings: Sequence[str] = ()
    ):
        self.stopped = False
        self._tokenizer, self._stop_ids, self._stop_strings = (
            tokenizer,
            frozenset(stop_ids),
            [s for s in stop_strings if s],
        )
        self._cleans = bool(getattr(tokenizer, "clean_up_tokenization_spaces", False))
        self._ids: list[int] = []
        self._sent = 0
        self._text = ""

    @property
    def text(self) -> str:
        """All that was sent so far."""
        return self._text

    def add(self, token: int) -> str:
        """The text that is certain now and was not sent yet; often empty."""
        if self.stopped or token in self._stop_ids:
            return ""
        self._ids.append(token)
        text, cut = self._decoded()
        if cut is not None:
            self.stopped = True
            return self._send(text, cut)
        return self._send(text, self._certain(text))

    def finish(self) -> str:
        """The text held back; call it when the answer has ended."""
        if self.stopped:
            return ""
        self.stopped = True
        text, cut = self._decoded()
        return self._send(text, len(text) if cut is None else cut)

    def _decoded(self) -> tuple[str, int | None]:
        """The text of all tokens, and where its first stop string begins."""
        text: str = self._tokenizer.decode(self._ids, skip_special_tokens=True)
        return text, min(
            (at for s in self._stop_strings if (at := text.find(s)) >= 0), default=None
        )

    def _certain(self, text: str) -> int:
        end = len(text.rstrip(UNFINISHED))
        if self._cleans and (space := text.rfind(" ", max(0, end - CLEANED), end)) >= 0:
            end = space
        return end - max((_held(text, end, s) for s in self._stop_strings), default=0)

    def _send(self, text: str, end: int) -> str:
        piece = text[self._sent : end]
        self._sent += len(piece)
        self._text += piece
        return piece


def _held(text: str, end: int, stop: str) -> int:
    """The length of the longest beginning of `stop`, short of all of it, with which text[:end]
    ends. Only places that hold its first character are compared."""
    at = text.find(stop[0], max(0, end - len(stop) + 1), end)
    while at >= 0:
        if stop.startswith(text[at:end]):
            return end - at
        at = text.find(stop[0], at + 1, end)
    return 0


class PartsStream(TextStream):
    """A chat's answer in pieces, without the thought in front of it, which is sent as a whole once
    it has ended.

    prompt: the token ids that the model read. A thought that neither the prompt nor the text has
    opened is recognised by its closing mark alone; what was sent before stays sent, so that it
    comes as a part of the answer.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        stop_ids: Collection[int] = (),
        stop_strings: Sequence[str] = (),
        prompt: Sequence[int] = (),
    ):
        super().__init__(tokenizer, stop_ids=stop_ids, stop_strings=stop_strings)
        self._thoughts, self._prompt = Thoughts.of(tokenizer), prompt
        self._reasoning: str | None = None  # so far
        self._ended = False
        self._given = False
        self._plain = True  # the text holds no thought to remove

    @property
    def thinks(self) -> bool:
        """Whether there is a thought."""
        return self._reasoning is not None

    def reasoning(self) -> str:
        """The thought, once: when it has ended, or the answer with it."""
        if self._given or not self._reasoning or not (self._ended or self.stopped):
            return ""
        self._given = True
        return self._reasoning

    def _decoded(self) -> tuple[str, int | None]:
        raw, cut = super()._decoded()
        if self._sent and self._plain:
            return raw, cut
        parts = self._thoughts.parts(self._ids, self._prompt)
        self._plain = parts.answer == raw
        self._reasoning, self._ended = parts.reasoning, self._ended or bool(parts.answer.strip())
        text = parts.answer if parts.answer.startswith(self._text) else self._text
        return text, min(
            (at for s in self._stop_strings if (at := text.find(s)) >= 0), default=None
        )

    def _certain(self, text: str) -> int:
        if not self._sent and self._plain and may_begin(text.rstrip(UNFINISHED)):
            return 0
        end = super()._certain(text)
        if not self._plain and (mark := OPEN_MARK.search(text, max(0, end - LONGEST_MARK), end)):
            return max(self._sent, mark.start())
        return end
