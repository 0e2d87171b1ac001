"""Zstandard: by Python from 3.14 on, otherwise by the package zstandard (extra `zstd`)."""

from __future__ import annotations

import io
from typing import IO, Any

from veneer.foundation.errors import MissingExtra

PIECE = 2**16  # compressed bytes read at a time


class ZstdError(Exception):
    """A stream that is damaged or cut."""


def open_zstd(raw: IO[bytes]) -> IO[bytes]:
    """The decompressed stream; its end is reached only where the compressed stream is whole. Raises
    MissingExtra without the package."""
    return io.BufferedReader(_Decompressed(raw), PIECE)


class _Decompressed(io.RawIOBase):
    """Frame by frame. (The package's own stream reader takes a cut file for a whole one.)"""

    def __init__(self, raw: IO[bytes]):
        self.raw, self.make, self.error = raw, *_decompressor()
        self.frame: Any = None
        self.left, self.ready = b"", b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self.ready:
            piece = self.left or self.raw.read(PIECE)
            self.left = b""
            if not piece:
                if self.frame is not None:
                    raise ZstdError("the last frame is cut")
                return 0
            self.frame = self.frame or self.make()
            try:
                self.ready = self.frame.decompress(piece)
            except self.error as error:
                raise ZstdError(str(error)) from None
            if self.frame.eof:
                self.left, self.frame = self.frame.unused_data, None
        size = min(len(buffer), len(self.ready))
        buffer[:size], self.ready = self.ready[:size], self.ready[size:]
        return size


def _decompressor() -> tuple[Any, type[Exception]]:
    """(what makes a decompressor of one frame, what it raises)."""
    try:
        from compression import zstd  # type: ignore[import-not-found]  # Python 3.14 and later

        return zstd.ZstdDecompressor, zstd.ZstdError
    except ImportError:
        pass
    try:
        import zstandard
    except ImportError:
        raise MissingExtra(
            "zstandard", "zstd", "reading a file that is compressed with Zstandard"
        ) from None
    return lambda: zstandard.ZstdDecompressor().decompressobj(), zstandard.ZstdError
