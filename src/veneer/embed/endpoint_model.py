"""Embeddings of an OpenAI-compatible endpoint (POST URL/embeddings)."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from veneer.embed.chunks import join_chunks
from veneer.embed.embedder import unit_rows
from veneer.endpoint import Endpoint, EndpointConfig
from veneer.endpoint.failure import Failure
from veneer.foundation.errors import VeneerError
from veneer.foundation.progress import Progress

# characters of a piece: its tokenizer is not available, and 512 tokens are the least that
# such models read
LONGEST = 1500
BATCH = 16  # pieces a request


class EndpointModel:
    """An endpoint's embedder. Texts are cut at spaces into pieces of at most `LONGEST` characters;
    the pieces' vectors are averaged by their length."""

    def __init__(self, config: EndpointConfig):
        """Raises MissingExtra without the package `openai`."""
        self._endpoint = Endpoint(config)
        self.id = f"{config.model}@{urlsplit(config.url).netloc}-chunks{LONGEST}characters"

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        """Return (n, d), or (n, 0) where no text has words, because the endpoint decides d.

        Raises VeneerError where a piece has no vector in the end.
        """
        distinct = [t for t in dict.fromkeys(texts) if t.strip()]
        pieces = [(n, piece) for n, text in enumerate(distinct) for piece in cut(text)]
        batches = [[p for _, p in pieces[at : at + BATCH]] for at in range(0, len(pieces), BATCH)]
        calls = [("embeddings", {"input": batch, "encoding_format": "float"}) for batch in batches]
        vectors: list[list[float]] = []
        for batch, (came, _) in zip(
            batches,
            self._endpoint.call_many(calls, read_vectors, progress, "embeddings"),
            strict=True,
        ):
            if isinstance(came, Failure):
                raise VeneerError(
                    f"the endpoint {self._endpoint.config.url} gave no embeddings for "
                    f"{len(batch)} texts: {came.message}; run the same command again"
                )
            if len(came["vectors"]) != len(batch):
                raise VeneerError(
                    f"the endpoint {self._endpoint.config.url} gave {len(came['vectors'])} "
                    f"embeddings for {len(batch)} texts; expected one each: it may not be an "
                    "endpoint for embeddings"
                )
            vectors += came["vectors"]
        if len({len(v) for v in vectors}) > 1:
            raise VeneerError(
                f"the endpoint {self._endpoint.config.url} gave embeddings of different lengths; "
                "expected one length"
            )
        vectors_of_texts = np.zeros((len(distinct), len(vectors[0]) if vectors else 0), np.float32)
        if vectors:
            owners, lengths = [n for n, _ in pieces], [len(p) for _, p in pieces]
            vectors_of_texts = join_chunks(
                unit_rows(np.array(vectors)), owners, lengths, len(distinct)
            )
        place = {text: row for row, text in enumerate(distinct)}
        rows = np.zeros((len(texts), vectors_of_texts.shape[1]), np.float32)
        for i, text in enumerate(texts):
            if text in place:
                rows[i] = vectors_of_texts[place[text]]
        return rows


def cut(text: str, longest: int = LONGEST) -> list[str]:
    """Split `text` into pieces of at most `longest` characters, behind white space where the
    piece's second half has any."""
    pieces = []
    while len(text) > longest:
        spaces = [m.end() for m in re.finditer(r"\s", text[:longest]) if m.end() > longest // 2]
        at = spaces[-1] if spaces else longest
        pieces.append(text[:at])
        text = text[at:]
    return [p for p in [*pieces, text] if p.strip()]


def read_vectors(data: Any) -> dict[str, Any]:
    """Return the vectors of a reply in the order of its `index`, or as they come where no row has
    one; numbers, or base64 of float32 (which some servers send whatever was requested). Raises
    ValueError for another form: a null, one vector per token (llama.cpp without pooling), zeros."""
    rows = data.get("data") if isinstance(data, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("a reply without embeddings")
    if any("index" in row for row in rows):
        rows = sorted(rows, key=lambda row: int(row["index"]))
        if [int(row["index"]) for row in rows] != list(range(len(rows))):
            raise ValueError("embeddings that are not numbered 0, 1, ...")
    vectors = [_vector(row.get("embedding")) for row in rows]
    usage = data.get("usage") or {}
    return {
        "vectors": vectors,
        "prompt_tokens": int(usage.get("prompt_tokens") or 0),
        "model": str(data.get("model") or ""),
    }


def _vector(given: Any) -> list[float]:
    """Raises ValueError unless it is a vector of finite numbers with a direction."""
    if isinstance(given, str):
        raw = base64.b64decode(given, validate=True)
        if len(raw) % 4:
            raise ValueError("an embedding in base64 that is not of 32-bit numbers")
        given = np.frombuffer(raw, "<f4").tolist()
    if not isinstance(given, list) or not given:
        raise ValueError(
            f"an embedding that is {'null' if given is None else 'no list of numbers'}"
        )
    if isinstance(given[0], list):
        raise ValueError(
            "a vector for each token where one for each text is expected: let the server pool them"
        )
    if any(
        isinstance(x, bool) or not isinstance(x, int | float) or not math.isfinite(x) for x in given
    ):
        raise ValueError("an embedding with values that are not finite numbers")
    if not any(given):
        raise ValueError("an embedding of zeros alone")
    return [float(x) for x in given]
