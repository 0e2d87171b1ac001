"""Embeddings of an OpenAI-compatible endpoint (POST URL/embeddings)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from veneer.embed.chunks import join_chunks
from veneer.embed.embedder import Progress, unit_rows
from veneer.endpoint import Endpoint, EndpointConfig
from veneer.endpoint.transport import Failure
from veneer.errors import VeneerError

LONGEST = 1500  # characters of a piece: its tokenizer is not at hand, and 512 tokens are the least that such models read
BATCH = 16  # pieces a request


class EndpointModel:
    """Texts go in pieces of at most `LONGEST` characters, cut at spaces; the pieces' vectors are averaged by their length."""

    def __init__(self, config: EndpointConfig):
        """Raises MissingExtra without the package `openai`."""
        self._endpoint = Endpoint(config)
        self.id = f"{config.model}@{urlsplit(config.url).netloc}-chunks{LONGEST}characters"

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        """(n, d); (n, 0) where no text has words, for d is the endpoint's. Raises VeneerError where a piece has no vector in the end."""
        distinct = [t for t in dict.fromkeys(texts) if t.strip()]
        pieces = [(n, piece) for n, text in enumerate(distinct) for piece in cut(text)]
        batches = [[p for _, p in pieces[at : at + BATCH]] for at in range(0, len(pieces), BATCH)]
        calls = [("embeddings", {"input": batch, "encoding_format": "float"}) for batch in batches]
        vectors: list[list[float]] = []
        for batch, (came, _) in zip(batches, self._endpoint.call_many(calls, read_vectors, progress, "embeddings"), strict=True):
            if isinstance(came, Failure):
                raise VeneerError(
                    f"the endpoint {self._endpoint.config.url} gave no embeddings for {len(batch)} texts: {came.said}; run the same "
                    "command again"
                )
            if len(came["vectors"]) != len(batch):
                raise VeneerError(
                    f"the endpoint {self._endpoint.config.url} gave {len(came['vectors'])} embeddings for {len(batch)} texts; expected "
                    "one each: it may not be an endpoint for embeddings"
                )
            vectors += came["vectors"]
        if len({len(v) for v in vectors}) > 1:
            raise VeneerError(
                f"the endpoint {self._endpoint.config.url} gave embeddings of different lengths; expected one length"
            )
        found = np.zeros((len(distinct), len(vectors[0]) if vectors else 0), np.float32)
        if vectors:
            owners, lengths = [n for n, _ in pieces], [len(p) for _, p in pieces]
            found = join_chunks(unit_rows(np.array(vectors)), owners, lengths, len(distinct))
        place = {text: row for row, text in enumerate(distinct)}
        rows = np.zeros((len(texts), found.shape[1]), np.float32)
        for i, text in enumerate(texts):
            if text in place:
                rows[i] = found[place[text]]
        return rows


def cut(text: str, longest: int = LONGEST) -> list[str]:
    """`text` in pieces of at most `longest` characters, cut behind white space where there is some in the piece's second half."""
    pieces = []
    while len(text) > longest:
        spaces = [m.end() for m in re.finditer(r"\s", text[:longest]) if m.end() > longest // 2]
        at = spaces[-1] if spaces else longest
        pieces.append(text[:at])
        text = text[at:]
    return [p for p in [*pieces, text] if p.strip()]


def read_vectors(data: Any) -> dict[str, Any]:
    """The vectors of a reply in the order of its `index`. Raises ValueError, TypeError or KeyError for another form."""
    rows = sorted(data["data"], key=lambda row: int(row["index"]))
    vectors = [[float(x) for x in row["embedding"]] for row in rows]
    if [int(row["index"]) for row in rows] != list(range(len(rows))) or not np.isfinite([x for v in vectors for x in v]).all():
        raise ValueError("embeddings that are not numbered 0, 1, ... or not finite")
    usage = data.get("usage") or {}
    return {"vectors": vectors, "prompt_tokens": int(usage.get("prompt_tokens") or 0), "model": str(data.get("model") or "")}
