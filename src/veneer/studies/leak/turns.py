"""What a chat template writes around a question and its answer, and samples taken apart by it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from veneer.foundation.errors import InputError
from veneer.models.formats import ChatFormat, encode_text
from veneer.models.templates import render_text
from veneer.prompts.prompt import Prompt

USER, ASSISTANT = "user", "assistant"
QUESTION_MARK, ANSWER_MARK = "Pelican", "Marmalade"  # words that no template writes


@dataclass(frozen=True, slots=True)
class Turns:
    """opening: before the question. header: between the question and the answer, as a model reads
    it. between: the same with what the template writes in front of a known answer (a space, an
    empty thought). All are texts with special tokens."""

    opening: str
    header: str
    between: str

    @classmethod
    def of(cls, tokenizer: Any, format: ChatFormat | None = None) -> Turns:
        """The turns of a tokenizer's chat template. Raises InputError where there is none."""
        form = format or ChatFormat()
        question = Prompt.from_text("mark", QUESTION_MARK)
        words = form.words(tokenizer)
        request = render_text(
            tokenizer, form.messages(question), add_generation_prompt=True, words=words
        )
        answered = render_text(
            tokenizer,
            [*form.messages(question), {"role": "assistant", "content": ANSWER_MARK}],
            add_generation_prompt=False,
            words=words,
        )
        opening, _, header = request.partition(QUESTION_MARK)
        between = answered.partition(QUESTION_MARK)[2].partition(ANSWER_MARK)[0]
        return cls(opening, header, between)

    def prefix(self, kind: str) -> str:
        """The text that samples follow. kind: "user", "assistant", or the text itself."""
        return {USER: self.opening, ASSISTANT: self.opening + self.header}.get(kind, kind)

    def split(self, text: str, kind: str, special: re.Pattern[str]) -> tuple[str, str]:
        """A sample's question and answer, without special tokens. kind: of the prefix. text: the
        sample with its special tokens. special: any of these (`special_tokens`).

        A sample that never comes to the answer's header is a question alone.
        """
        if kind == ASSISTANT:
            return "", _visible(text, special)
        mark = self.header.strip()
        question, _, answer = text.partition(mark) if mark else (text, "", "")
        return _visible(question, special), _visible(answer, special)


def begun_ids(tokenizer: Any, prefix: str) -> list[int]:
    """Token ids of a text that goes on, without those that become others when a word follows.

    A template that ends with a space (Llama 2, Mistral, Vicuna) has a token of that space alone,
    which no training text holds: there the space begins the next word's token.
    """
    alone = encode_text(tokenizer, prefix)
    return common_beginning(alone, encode_text(tokenizer, prefix + QUESTION_MARK)) or alone


def common_beginning(a: list[int], b: list[int]) -> list[int]:
    """The ids with which both begin."""
    pairs = zip(a, b, strict=False)
    return [i for i, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)]


def special_tokens(*tokenizers: Any) -> re.Pattern[str]:
    """Any special token of these tokenizers."""
    texts: set[str] = set()
    for tokenizer in tokenizers:
        texts |= {str(t) for t in tokenizer.added_tokens_decoder.values() if t.special}
        texts |= set(tokenizer.all_special_tokens)
    ordered = sorted((t for t in texts if t), key=lambda t: (-len(t), t))
    return re.compile("|".join(map(re.escape, ordered)) or r"(?!)")


def same_tokens(own: Any, other: Any, ids: Sequence[int]) -> list[int]:
    """The other tokenizer's ids of some tokens, by their strings; without those that it lacks."""
    names, vocabulary = own.convert_ids_to_tokens(list(ids)), other.get_vocab()
    return [vocabulary[name] for name in names if name in vocabulary]


def need_template(tokenizer: Any, name: str) -> None:
    """Raises InputError for a model without a chat template."""
    if not getattr(tokenizer, "chat_template", None):
        raise InputError(
            f"the tokenizer of {name} has no chat template; give --prefix TEXT, the text that "
            "stands before a question in its training data"
        )


def _visible(text: str, special: re.Pattern[str]) -> str:
    """The text up to its first special token, those at its beginning left out."""
    pieces = [piece.strip() for piece in special.split(text)]
    return next((piece for piece in pieces if piece), "")
