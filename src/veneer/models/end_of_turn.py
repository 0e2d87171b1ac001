"""Where an assistant's turn ends: the text that a chat template writes right after the
assistant's words."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from veneer.foundation.errors import InputError
from veneer.models.templates import MARK, Message, render_text, with_system

ANSWER, NEXT = "Xylophone", "Marzipan"  # words that no template writes by itself
MARKUP = frozenset("<>[]{}|#")  # a closing text without any of these is prose


@dataclass(frozen=True, slots=True)
class EndOfTurn:
    """id: the token that ends a turn. text: the closing text where it is no single token of
    the tokenizer. opens: whether the template opens the answer when it is rendered with a
    generation prompt."""

    id: int | None = None
    text: str | None = None
    opens: bool = True


def end_of_turn(tokenizer: Any) -> int | None:
    """The token that the chat template puts right behind an assistant's words, or None
    where it puts none."""
    return find_end(tokenizer).id


def find_end(tokenizer: Any) -> EndOfTurn:
    """Render a conversation with words that are easy to find, and read the text after
    the assistant's.

    The last turn decides (harmony closes a final answer with another token than an inner
    one). Where nothing follows the last turn, the token that opens the next turn
    ends this one (GLM). A token that the model writes before its words too, as to close a thought
    (Kimi K3), ends nothing.
    """
    if not getattr(tokenizer, "chat_template", None):
        return EndOfTurn()
    turns = [
        {"role": "user", "content": MARK},
        {"role": "assistant", "content": ANSWER},
        {"role": "user", "content": NEXT},
    ]
    last, inner = _render(tokenizer, turns[:2]), _render(tokenizer, turns)
    tail = _behind(last)
    between = (
        _behind(inner).partition(NEXT)[0] if inner is not None and NEXT in _behind(inner) else ""
    )
    prompt = _render(tokenizer, turns[:1], prompt=True)
    before = _written_before(prompt, last)
    # it does not where the prompt is the same without one, and an answer begins with more than that
    opens = not before.strip() or prompt != _render(tokenizer, turns[:1])
    tokens = _TurnTokens(tokenizer, before)
    first, second = tokens.first(tail), tokens.first(between)
    if (
        first is not None
        and second is not None
        and first not in between
        and first in _opening(last)
    ):
        first = second  # the template opens an answer even without a generation prompt
    if first is None and tail.strip():
        text = tail.strip().split()[0]
        return EndOfTurn(None, text if len(text) > 2 and MARKUP & set(text) else None, opens)
    mark = first if first is not None else second
    return EndOfTurn(None if mark is None else tokens.ids[mark], None, opens)


def _render(tokenizer: Any, turns: Sequence[Message], *, prompt: bool = False) -> str | None:
    for messages in (turns, with_system(turns)):  # some templates need a system text
        with contextlib.suppress(InputError):
            return render_text(tokenizer, messages, add_generation_prompt=prompt)
    return None


def _behind(text: str | None) -> str:
    """The text after the assistant's words."""
    return "" if text is None else text.rpartition(ANSWER)[2] if ANSWER in text else ""


def _opening(text: str | None) -> str:
    """The text between the user's words and the assistant's."""
    return "" if text is None else text.partition(MARK)[2].rpartition(ANSWER)[0]


def _written_before(prompt: str | None, whole: str | None) -> str:
    """What stands between a prompt and the assistant's words, which the model writes itself."""
    if prompt is None or whole is None or not whole.startswith(prompt):
        return ""
    return whole[len(prompt) :].partition(ANSWER)[0]


class _TurnTokens:
    """The added tokens of a tokenizer that may end a turn: none of those in `before`."""

    def __init__(self, tokenizer: Any, before: str):
        self._tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder
        self.ids: dict[str, int] = {str(t.content): i for i, t in added.items()}
        self._special = {str(t.content) for t in added.values() if t.special} | {
            *tokenizer.all_special_tokens
        }
        self.ids |= {
            t: i
            for t, i in zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True)
            if i is not None
        }
        bos = tokenizer.bos_token
        if bos is not None and tokenizer.bos_token_id != tokenizer.eos_token_id:
            self.ids.pop(bos, None)  # some templates begin every turn with it
        # Gemma and others have tokens of white space alone
        self.ids = {t: i for t, i in self.ids.items() if t.strip() and t not in before}

    def first(self, tail: str) -> str | None:
        """The added token right behind white space, or else the first special one; one that the
        tokenizer itself makes of the text."""
        start = tail.lstrip()
        direct = [t for t in self.ids if start.startswith(t)]
        later = sorted(
            (tail.find(t), -len(t), t) for t in self.ids if t in self._special and t in tail
        )
        made = (
            set(self._tokenizer(tail, add_special_tokens=False, verbose=False)["input_ids"])
            if direct or later
            else set()
        )
        every = [*sorted(direct, key=len, reverse=True), *(t for *_, t in later)]
        return next((t for t in every if self.ids[t] in made), None)
