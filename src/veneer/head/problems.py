"""Where an extraction's problems come from: tokens that are read here, or (veneer.scale) tokens that workers hold."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from veneer.capture.artefact import Capture
from veneer.head.constant import wider, with_ones
from veneer.head.part import LocalPart, Part
from veneer.head.rows import used_rows
from veneer.head.shuffle import shuffled_blocks
from veneer.head.tokens import COLUMNS, Tokens


class Parts(Protocol):
    """The tokens of some prompts of a capture, as parts of a problem."""

    def used_rows(self, prompts: Sequence[int], threshold: float) -> Tensor:
        """See rows.used_rows."""

    def part(self, prompts: Sequence[int], rows: Tensor) -> Part:
        """The tokens of `prompts` as a part in which `rows` change."""


class LocalParts:
    """Tokens that are read here.

    shuffle_seed: of the head-capacity control (shuffle.py), None for true hidden states. constant: hidden states with a feature that
    is always 1 (constant.py).
    """

    def __init__(self, capture: Capture, dtype: torch.dtype, device: torch.device, shuffle_seed: int | None, constant: bool):
        self.capture, self.dtype, self.device = capture, dtype, device
        self.shuffle_seed, self.constant = shuffle_seed, constant
        self.head = wider(capture.head) if constant else capture.head
        self._tokens: dict[tuple[int, ...], Tokens] = {}

    def tokens(self, prompts: Sequence[int]) -> Tokens:
        """The same object for the same prompts, so that what it keeps in memory serves again."""
        key = tuple(prompts)
        if key not in self._tokens:
            self._tokens[key] = self._read(key)
        return self._tokens[key]

    def used_rows(self, prompts: Sequence[int], threshold: float) -> Tensor:
        return used_rows(self.tokens(prompts), self.head.rows, threshold)

    def part(self, prompts: Sequence[int], rows: Tensor) -> LocalPart:
        return LocalPart(self.tokens(prompts), self.head, rows)

    def _read(self, prompts: Sequence[int]) -> Tokens:
        if self.shuffle_seed is None and not self.constant:
            return Tokens.of_capture(self.capture, prompts, self.dtype, self.device)
        blocks = (
            partial(self.capture.blocks, COLUMNS, prompts)
            if self.shuffle_seed is None
            else shuffled_blocks(self.capture, prompts, self.shuffle_seed)
        )
        return Tokens((lambda: with_ones(blocks())) if self.constant else blocks, self.dtype, self.device)
