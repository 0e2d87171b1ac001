"""The bytes of a token, and how it is shown where they are no whole character."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

BYTE = re.compile(r"<0x([0-9A-F]{2})>")
KNOWN = 2**16  # tokens whose bytes and names are kept
SPACE = "\u2581"  # SentencePiece's sign for a space


@lru_cache(maxsize=1)
def _table() -> dict[str, int]:
    """Sign -> byte of the byte-level vocabularies (Radford et al. 2019, GPT-2's
    `bytes_to_unicode`)."""
    plain = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    rest = [b for b in range(256) if b not in plain]
    return {**{chr(b): b for b in plain}, **{chr(256 + i): b for i, b in enumerate(rest)}}


class TokenTexts:
    """Bytes and names of a tokenizer's tokens. Special tokens, and rows that the tokenizer
    does not name, have no text of their own; they are written as the vocabulary writes
    them, or as <|ID|>."""

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer
        # A long answer with log-probabilities names each token up to twenty times.
        self.bytes = lru_cache(KNOWN)(self._bytes)
        self.name = lru_cache(KNOWN)(self._name)
        backend = getattr(tokenizer, "backend_tokenizer", None)
        self._byte_level = backend is not None and "ByteLevel" in repr(backend.decoder)
        self._added = {i: str(t.content) for i, t in tokenizer.added_tokens_decoder.items()}
        self._special = {
            *tokenizer.all_special_ids,
            *(i for i, t in tokenizer.added_tokens_decoder.items() if t.special),
        }

    def text_bytes(self, id: int) -> bytes:
        """The text that the token adds to an answer: nothing for a special token."""
        return b"" if id in self._special else self.bytes(id)

    def _bytes(self, id: int) -> bytes:
        if id in self._added:
            return self._added[id].encode("utf-8", "replace")
        piece = self.tokenizer.convert_ids_to_tokens(id)
        if piece is None:
            return f"<|{id}|>".encode()
        if self._byte_level and all(sign in _table() for sign in piece):
            return bytes(_table()[sign] for sign in piece)
        if match := BYTE.fullmatch(piece):
            return bytes([int(match[1], 16)])
        return piece.replace(SPACE, " ").encode("utf-8", "replace")

    def _name(self, id: int) -> str:
        """The token as text, or "bytes:\\xe2\\x80" for a part of a character, as
        OpenAI writes it."""
        raw = self.bytes(id)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{b:02x}" for b in raw)
