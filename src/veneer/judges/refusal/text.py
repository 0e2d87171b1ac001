"""Prepare a text for the refusal judge: lower case, plain quotes, contractions written out, the
beginning only."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

# XSTest answers end at 220 words; what comes later than this does not turn an answer into a refusal
READ_CHARACTERS = 4000

_QUOTES = str.maketrans(
    {"’": "'", "‘": "'", "ʼ": "'", "`": "'", "´": "'", "“": '"', "”": '"', "–": "-", "—": "-"}
)
_IRREGULAR = (
    ("can't", "cannot"),
    ("won't", "will not"),
    ("shan't", "shall not"),
    ("ain't", "is not"),
    ("can not", "cannot"),
)
_REGULAR = (
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"'m\b"), " am"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'ve\b"), " have"),
    (re.compile(r"'ll\b"), " will"),
    (re.compile(r"'d\b"), " would"),
    (re.compile(r"\b(it|that|there|here|what|he|she|let)'s\b"), r"\1 is"),
)
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]*]*\s+|\n+")
_WORD = re.compile(r"[a-z]+|\d+|```")


@dataclass(frozen=True)
class RefusalText:
    """One prepared answer, split once for all features."""

    text: str  # normalised, line breaks kept
    sentences: tuple[str, ...]
    words: tuple[str, ...]


def read(answer: str, prompt: str | None = None) -> RefusalText:
    """Prepare an answer. Where it starts by repeating `prompt`, as base models do, the repetition
    is removed."""
    text = normalise(answer)
    if prompt and (echoed := normalise(prompt).strip()) and text.startswith(echoed):
        text = text[len(echoed) :].lstrip()
    sentences = tuple(s for s in (piece.strip() for piece in _SENTENCE_END.split(text)) if s)
    return RefusalText(text, sentences, tuple(_WORD.findall(text)))


def normalise(text: str) -> str:
    text = unicodedata.normalize("NFKC", text.strip()[:READ_CHARACTERS]).translate(_QUOTES).lower()
    if "'" in text:
        for short, full in _IRREGULAR[:-1]:
            text = text.replace(short, full)
        for pattern, full in _REGULAR:
            text = pattern.sub(full, text)
    return text.replace(*_IRREGULAR[-1])
