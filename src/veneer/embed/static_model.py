"""A model2vec model: the mean of static token vectors. It is fast and ignores word order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from veneer.embed.embedder import unit_rows
from veneer.foundation.errors import InputError, MissingExtra
from veneer.foundation.progress import Progress

WINDOW = 4096  # texts at a time


class StaticModel:
    """A model2vec embedder from a hub id or a folder; it reads texts of any length whole."""

    def __init__(self, name: str):
        """Raises MissingExtra without the package, InputError where the name leads
        to no such model."""
        try:
            package = import_module("model2vec")
        except ImportError:
            raise MissingExtra("model2vec", "model2vec", f"the embedder model2vec:{name}") from None
        try:
            self._model: Any = package.StaticModel.from_pretrained(name)
        except Exception as error:  # the hub, the file system and the parser each raise their own
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(
                f"model2vec:{name} cannot be loaded ({reason[:200]}); expected a model2vec model's "
                "hub id or folder"
            ) from None
        digest = hashlib.sha256(np.ascontiguousarray(self._model.embedding).tobytes()).hexdigest()
        self.id = f"model2vec-{name.rstrip('/').rpartition('/')[2]}-{digest[:8]}-whole"

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        rows = np.zeros((len(texts), self._model.dim), np.float32)
        for at in range(0, len(texts), WINDOW):
            window = list(texts[at : at + WINDOW])
            vectors = self._model.encode(window, max_length=None, use_multiprocessing=False)
            vectors[[not t.strip() for t in window]] = 0
            rows[at : at + WINDOW] = unit_rows(vectors)
            if progress:
                progress(min(at + WINDOW, len(texts)), len(texts), "embeddings")
        return rows
