"""Thoughts in a model's answer: read off its tokens, before the special ones among
them are dropped."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from veneer.reasoning import ResponseParts, opened_by, split_reasoning
from veneer.reasoning.styles import mark_at_the_start, prose_marks

PROMPT_TAIL = 32  # tokens of a prompt's end, where its template may have opened the thought


@dataclass(frozen=True)
class Thoughts:
    """How a tokenizer marks thoughts. Special tokens are left out of a text, and with them the
    marks that set a thought apart: they are kept here until the thought is split off."""

    tokenizer: Any

    @classmethod
    def of(cls, tokenizer: Any) -> Thoughts:
        """One for each tokenizer, since looking through its tokens takes a while."""
        thoughts = _KNOWN.get(tokenizer)
        if thoughts is None:
            thoughts = _KNOWN[tokenizer] = cls(tokenizer)
        return thoughts

    @cached_property
    def marks(self) -> dict[int, str]:
        """Special tokens that are marks, by their ids."""
        added = getattr(self.tokenizer, "added_tokens_decoder", {})
        special = set(self.tokenizer.all_special_ids)
        return {
            i: t.content
            for i, t in added.items()
            if (t.special or i in special) and mark_at_the_start(t.content)
        }

    @cached_property
    def certain(self) -> frozenset[str]:
        """Marks that this model cannot mean as words: special tokens, and the sentences with which
        its chat template opens a thought."""
        template = getattr(self.tokenizer, "chat_template", None)
        return frozenset(self.marks.values()) | prose_marks(
            template if isinstance(template, str) else ""
        )

    def opened(self, prompt: Sequence[int]) -> str:
        """The mark with which a prompt's token ids end, or nothing."""
        return (
            opened_by(self.tokenizer.decode(list(prompt[-PROMPT_TAIL:]), skip_special_tokens=False))
            if len(prompt)
            else ""
        )

    def parts(self, ids: Sequence[int], prompt: Sequence[int] = ()) -> ResponseParts:
        """The parts of an answer without special tokens. ids: without the end token. prompt: what
        the model read before them."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        marked = self._marked(ids) if any(i in self.marks for i in ids) else text
        split = split_reasoning(marked, opened=self.opened(prompt), certain=self.certain)
        if split.reasoning is None and split.answer == marked:
            return ResponseParts(None, text)
        return ResponseParts(
            None if split.reasoning is None else self._without_marks(split.reasoning),
            self._without_marks(split.answer),
            split.closed,
        )

    def raw(self, ids: Sequence[int], stop_strings: Sequence[str] = ()) -> str:
        """The text with its thoughts, without special tokens, cut at its first stop string."""
        return cut(self._text(ids), stop_strings)

    def stopped(
        self, ids: Sequence[int], prompt: Sequence[int], stop_strings: Sequence[str]
    ) -> bool:
        """Whether the answer holds a stop string; in a thought it does not count. To be called
        where the text holds one."""
        parts = self.parts(ids, prompt)
        if parts.reasoning is None and parts.closed:
            return True
        return any(s in parts.answer for s in stop_strings)

    def _marked(self, ids: Sequence[int]) -> str:
        """The text with its marks."""
        pieces: list[str] = []
        begun = 0
        for at, token in enumerate(ids):
            if token in self.marks:
                pieces += [self._text(ids[begun:at]), self.marks[token]]
                begun = at + 1
        return "".join([*pieces, self._text(ids[begun:])])

    def _text(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(list(ids), skip_special_tokens=True) if len(ids) else ""

    def _without_marks(self, text: str) -> str:
        for mark in self.marks.values():
            text = text.replace(mark, "")
        return text


def cut(text: str, stop_strings: Collection[str]) -> str:
    """Up to the first stop string."""
    places = [at for s in stop_strings if (at := text.find(s)) >= 0]
    return text[: min(places)] if places else text


_KNOWN: WeakKeyDictionary[Any, Thoughts] = WeakKeyDictionary()
