"""The tokens of a set of prompts, block by block: kept in memory within a budget, read again from
disk beyond it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from veneer.capture.artefact import Capture

Block = dict[str, Tensor]
COLUMNS = (
    "hidden",
    "position",
    "aligned_ids",
    "aligned_logprobs",
    "aligned_tail",
    "base_ids",
    "base_logprobs",
    "base_at_aligned",
    "base_outside",
    "base_logz",
)
CACHE_BYTES = 1 << 30


class Tokens:
    """Blocks of columns (see capture/shards.py), hidden states in a working dtype.

    make: gives the blocks in their order, each time the same (of a capture, or of the head-capacity
    control, token_sources.shuffled_blocks).
    """

    def __init__(
        self,
        make: Callable[[], Iterator[Block]],
        dtype: torch.dtype,
        device: torch.device,
        cache_bytes: int = CACHE_BYTES,
    ):
        self._make, self.dtype, self.device = make, dtype, device
        self._cache: list[Block] = []
        self._whole = False
        self._room = cache_bytes
        self.count = 0

    @classmethod
    def of_capture(
        cls,
        capture: Capture,
        prompts: Sequence[int],
        dtype: torch.dtype,
        device: torch.device,
        *,
        cache_bytes: int = CACHE_BYTES,
    ) -> Tokens:
        return cls(lambda: capture.blocks(COLUMNS, prompts), dtype, device, cache_bytes)

    def __iter__(self) -> Iterator[Block]:
        yield from self._cache
        if self._whole:
            return
        kept = len(self._cache)
        growing, count = True, sum(len(b["position"]) for b in self._cache)
        for number, block in enumerate(self._make()):
            if number < kept:
                continue
            block = {
                k: v.to(self.device, self.dtype) if v.is_floating_point() else v.to(self.device)
                for k, v in block.items()
            }
            count += len(block["position"])
            size = sum(v.numel() * v.element_size() for v in block.values())
            if growing and size <= self._room:
                self._room -= size
                self._cache.append(block)
            else:
                growing = False
            yield block
        self._whole, self.count = growing, count
