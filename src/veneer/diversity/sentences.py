"""Sentence vectors that are asked for again and again: an embedder that remembers the last so many texts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from veneer.embed import Embedder

MOST = 20_000  # texts; 30 MB of 384 numbers each


class Remembering:
    """Gives what `embedder` gives; memory is bounded, the texts used longest ago go first."""

    def __init__(self, embedder: Embedder, most: int = MOST):
        self._embedder, self._most = embedder, most
        self._known: OrderedDict[str, np.ndarray] = OrderedDict()

    @property
    def id(self) -> str:
        return self._embedder.id

    def embed(self, texts: Sequence[str], progress=None) -> np.ndarray:
        """(n, d) float32, rows of unit length."""
        new = [t for t in dict.fromkeys(texts) if t not in self._known]
        found = dict(zip(new, self._embedder.embed(new, progress), strict=True)) if new else {}
        for text in texts:
            if text in self._known:
                self._known.move_to_end(text)
                found[text] = self._known[text]
        self._known.update(found)
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        return np.array([found[t] for t in texts], np.float32)
