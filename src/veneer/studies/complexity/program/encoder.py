"""The range encoder, and program files of each kind. The numbers of a program come in the order in
which its decoder reads them: both run the same functions."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from veneer.foundation.errors import VeneerError
from veneer.foundation.files import write_bytes
from veneer.studies.complexity.program.decoders import data, head, lora, text
from veneer.studies.complexity.program.decoders.coder import KINDS, LEAST, MAGIC, TOP, Coder
from veneer.studies.complexity.program.decoders.tokens import lengths, tokens

LARGEST = 1 << 52  # of a sum of products, so that float64 holds it exactly


class Encoder(Coder):
    """A range encoder of 64 bits with carry (Martin 1979, "Range encoding"): the same numbers as
    `Coder` reads, given as `wanted`."""

    def __init__(self) -> None:
        super().__init__()
        self.low, self.out = 0, bytearray()

    def pick(self, table: Any, wanted: int = 0) -> int:
        low, high, unit = int(table[wanted]), int(table[wanted + 1]), self.range // int(table[-1])
        if not 0 <= low < high:
            raise ValueError(f"the symbol {wanted} has no share of the table")
        self.low += unit * low
        self.range = unit * (high - low)
        self._carry()
        while self.range < LEAST:
            self.out.append(self.low >> 56)
            self.low, self.range = self.low << 8 & TOP - 1, self.range << 8
        return wanted

    def _carry(self) -> None:
        if self.low >= TOP:
            self.low -= TOP
            at = len(self.out) - 1
            while self.out[at] == 255:
                self.out[at] = 0
                at -= 1
            self.out[at] += 1

    def finish(self) -> bytes:
        """The shortest bytes that decode to what was encoded; a decoder reads zeros behind them."""
        for kept in range(9):
            mask = (1 << 64 - 8 * kept) - 1
            value = (self.low + mask) & ~mask
            if value < self.low + self.range:
                self.low = value
                self._carry()
                self.out += self.low.to_bytes(8, "big")
                break
        return bytes(self.out).rstrip(b"\0")


def write_program(path: Path, kind: str, fingerprint: bytes, payload: bytes) -> int:
    """Write a program file: magic and version, kind, 4 bytes of base's fingerprint, payload,
    CRC-32. Returns its size in bytes."""
    body = MAGIC + bytes([KINDS[kind]]) + fingerprint + payload
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, body + zlib.crc32(body).to_bytes(4, "big"))
    return path.stat().st_size


@dataclass(frozen=True)
class HeadNumbers:
    """The integers of a head program (`decoders.head.numbers`), int64.

    rows: (R,) ascending ids. A: (R, r), B: (r, d), shifts: (r,) none below 0, exponents: (1 + d,).
    bias: (R,) with rank 0 and one exponent, or of length 0.
    """

    vocabulary: int
    width: int
    rows: np.ndarray
    A: np.ndarray
    B: np.ndarray
    shifts: np.ndarray
    exponents: np.ndarray
    bias: np.ndarray

    @classmethod
    def of_bias(cls, vocabulary: int, width: int, bias: Tensor, rows: Tensor, step: int):
        """A constant per row in units of 2^step."""
        exact = np.rint(np.ldexp(bias.double().numpy(), -step)).astype(np.int64)
        kept = exact != 0
        none = np.zeros((int(kept.sum()), 0), np.int64)
        return cls(
            vocabulary,
            width,
            rows.numpy()[kept].astype(np.int64),
            none,
            np.zeros((0, width), np.int64),
            np.zeros(0, np.int64),
            np.array([step], np.int64),
            exact[kept],
        )

    def change(self) -> np.ndarray:
        """dW on `rows` (R, d) in float32, as the decoder computes it."""
        return head.change(self.A, self.B, self.shifts, self.exponents)

    def payload(self) -> bytes:
        """Raises VeneerError where a sum would not be exact."""
        most = (abs(self.A) << self.shifts) @ abs(self.B)
        if most.size and most.max() >= LARGEST:
            raise VeneerError("the integers of a head program are too large; take larger steps")
        coder = Encoder()
        counts = (self.vocabulary, self.width, len(self.B), len(self.rows), len(self.bias) > 0)
        head.sizes(coder, counts)
        arrays = (self.rows, self.A, self.B, self.shifts, self.exponents, self.bias)
        head.numbers(coder, *(array.copy() for array in arrays))
        return coder.finish()


def text_payload(
    model: Any, tokenizer: Any, prompt: str, *, portable: bool = False
) -> tuple[bytes, bool, float]:
    """The shorter of raw LZMA and of tokens coded by `model` (never that where `portable`); whether
    it is the latter; and the ideal bits of all tokens but the first under the model."""
    packed = lzma.compress(prompt.encode(), lzma.FORMAT_RAW, filters=text.FILTERS)
    ids = list(tokenizer(prompt, add_special_tokens=False)["input_ids"])
    coder = Encoder()
    lengths(coder, 1, [len(ids)])
    _, ideal = tokens(model, coder, [len(ids)], [ids])
    coded = coder.finish()
    same = tokenizer.decode(ids, clean_up_tokenization_spaces=False) == prompt
    if not portable and same and len(coded) < len(packed):
        return b"\1" + coded, True, ideal[0]
    return b"\0" + packed, False, ideal[0]


def data_payload(
    model: Any, examples: Sequence[tuple[list[int], list[int]]], numbers: Sequence[int]
) -> tuple[bytes, float]:
    """Prompts and answers coded by `model`, and the ideal bits of all tokens but the first.

    numbers: rank, rate (in units of 1 / decoders.data.RATE), epochs, batch, seed.
    """
    coder = Encoder()
    data.settings(coder, (len(examples), *numbers))
    for side in (0, 1):
        lengths(coder, len(examples), [len(e[side]) for e in examples])
    rows = [[*p, *a] for p, a in examples]
    _, ideal = tokens(model, coder, [len(r) for r in rows], rows)
    return coder.finish(), ideal[0]


def lora_payload(factors: Sequence[tuple[Tensor, Tensor]], step: float) -> bytes:
    """Factors A (r, inputs) and B (outputs, r) of every layer in the model's order, each matrix in
    steps of the power of two next to `step` times its root mean square."""
    coder = Encoder()
    coder.integer("rank", len(factors[0][0]))
    for pair in factors:
        for name, values in zip(("A", "B"), pair, strict=True):
            wide = values.detach().double().numpy()
            size = float(np.sqrt(np.mean(wide**2)))
            exponent = round(np.log2(size * step)) if size else 0
            exact = np.rint(np.ldexp(wide, -exponent)).astype(np.int64)
            lora.matrix(coder, name, exact, exponent)
    return coder.finish()
