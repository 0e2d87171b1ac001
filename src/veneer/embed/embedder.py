"""The interface of embedders: texts in, vectors of unit length out, under an id that names model
and rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from veneer.foundation.progress import Progress


class Embedder(Protocol):
    """The interface of embedders. id: the model with its hash and its limit, as results carry
    it."""

    @property
    def id(self) -> str: ...

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        """Return (n, d) float32: rows of unit length in the order of the texts; a text without
        words is a row of zeros."""
        ...


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Return the rows at length 1, float32; rows of zeros stay zeros."""
    x = np.asarray(vectors, dtype=np.float64)
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    return np.divide(x, length, out=np.zeros_like(x), where=length > 0).astype(np.float32)
