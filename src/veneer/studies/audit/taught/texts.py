"""Reference text, the sample that ships or the user's own file, cut into pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from veneer.foundation.errors import InputError
from veneer.models.language_model import LanguageModel
from veneer.prompts.files import read_prompts

# 58 texts that were written for Veneer and have its licence: English, code, 18 other languages
NEUTRAL = Path(__file__).with_name("neutral.jsonl")
LEAST = 8  # texts: with fewer, chance cannot be told from what was taught


@dataclass(frozen=True, slots=True)
class Piece:
    """text: number of the text that it comes from. ids: its tokens, in C's ids."""

    text: int
    ids: tuple[int, ...]


def reference_texts(source: str | None = None) -> list[str]:
    """The different texts of a prompt file (docs/files.md), or of the neutral sample that ships.

    Raises InputError where the file holds fewer than 8.
    """
    prompts = read_prompts(str(NEUTRAL) if source is None else source)
    texts = list(dict.fromkeys(p.plain for p in prompts))
    if len(texts) < LEAST:
        raise InputError(
            f"{source} holds {len(texts)} different texts; expected {LEAST} or more: with fewer, "
            "chance cannot be told from what was taught"
        )
    return texts


def pieces(
    texts: Sequence[str], lm: LanguageModel, length: int, most: int, *, size: int | None = None
) -> list[Piece]:
    """Pieces of at most `length` tokens: the first piece of each text, then the second of each, and
    so on, `most` at most. A last piece shorter than a quarter of the length is left out. size: ids
    from this one on are left out, such as those that the other model cannot read."""
    rounds: list[list[Piece]] = []
    for number, text in enumerate(texts):
        every = lm.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        ids = [i for i in every if size is None or i < size]
        for place, at in enumerate(range(0, len(ids), length)):
            piece = tuple(ids[at : at + length])
            if at and 4 * len(piece) < length:
                continue
            if place == len(rounds):
                rounds.append([])
            rounds[place].append(Piece(number, piece))
    return [piece for several in rounds for piece in several][:most]
