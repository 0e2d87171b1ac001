"""Similarities of answers to a reference, one prompt at a time: words in common, and embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from veneer.embed import Embedder
from veneer.text import clean, jaccard, tok

Progress = Callable[[int, int, str], None]
WINDOW = 256  # prompts whose texts are embedded together, so that memory does not grow with prompts


class Measure(Protocol):
    """name: as in results ("lexical", ...). judge: who decides (a model's id), or None where arithmetic does. note: what a reader must
    know of it, or None."""

    @property
    def name(self) -> str: ...
    @property
    def judge(self) -> str | None: ...
    @property
    def note(self) -> str | None: ...

    def similarities(
        self, references: Sequence[str], candidates: Sequence[Sequence[str]], progress: Progress | None = None
    ) -> list[np.ndarray]:
        """Of each prompt the similarity of each candidate to the prompt's reference, (candidates,) in their order."""
        ...


class Lexical:
    """Jaccard similarity of the sets of words; 1 of two texts without words."""

    name = "lexical"
    judge = None
    note = None

    def similarities(
        self, references: Sequence[str], candidates: Sequence[Sequence[str]], progress: Progress | None = None
    ) -> list[np.ndarray]:
        out = []
        for reference, some in zip(references, candidates, strict=True):
            words = tok(reference)
            out.append(np.array([jaccard(words, tok(c)) for c in some], float))
        return out


class Embedded:
    """Cosine of embeddings of the cleaned texts; 0 where exactly one of the two is empty, 1 where both are."""

    name = "embedding"
    note = None

    def __init__(self, embedder: Embedder):
        self._embedder = embedder
        self.judge = embedder.id
        self._known: tuple[list[str], np.ndarray] | None = None

    def similarities(
        self, references: Sequence[str], candidates: Sequence[Sequence[str]], progress: Progress | None = None
    ) -> list[np.ndarray]:
        out: list[np.ndarray] = []
        known = self._references([clean(r) for r in references])
        for at in range(0, len(references), WINDOW):
            some = [[clean(c) for c in texts] for texts in candidates[at : at + WINDOW]]
            vectors = self._embedder.embed([c for texts in some for c in texts]) if any(some) else known[:0]
            place = 0
            for row, texts in enumerate(some, at):
                found = vectors[place : place + len(texts)].astype(float) @ known[row].astype(float)
                both_empty = np.array([not clean(references[row]) and not c for c in texts], bool)
                out.append(np.where(both_empty, 1.0, np.clip(found, -1.0, 1.0)))
                place += len(texts)
            if progress:
                progress(min(at + WINDOW, len(references)), len(references), "embeddings")
        return out

    def _references(self, texts: list[str]) -> np.ndarray:
        """(n, d), embedded once for all the systems that are compared with them."""
        if self._known is None or self._known[0] != texts:
            self._known = (texts, self._embedder.embed(texts))
        return self._known[1]
