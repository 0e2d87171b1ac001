"""Weights that are packed once, for the few rows of a decoding step on a CPU.

The library behind torch's float32 products copies the whole matrix into an order of its own at each
product, which costs as much as the product where a batch has 16 rows. FBGEMM, which torch's builds
for x86 contain, keeps a matrix in its order, as float16, and widens it to float32 inside the
product: no copy, half as much to read, sums in float32. It is used where a matrix loses nothing by
it, which holds for a checkpoint that was stored in bfloat16 or float16 (`Packed.of`). Elsewhere
everything stays as it is. What it gains: docs/performance.md, Decoding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

MOST_ROWS = 64  # with more, the plain product is as fast
BLOCK = 1 << 20  # weights of one packed part: 2 MB, which the caches hold
# Half of float16's smallest number: the largest error of a weight, where the largest weight lies
# between 2^14 and 2^15. A float32 sum rounds by more than 2^15 times as much.
LARGEST_ERROR = 2.0**-25
SAMPLE = 1024  # values by which most matrices that do not fit are recognised


def may_fit(weight: Tensor) -> bool:
    """Whether this build of torch and this processor have the product for such a matrix."""
    return (
        weight.dtype is torch.float32
        and weight.device.type == "cpu"
        and torch.backends.quantized.engine in ("x86", "fbgemm")
        and hasattr(torch.ops.quantized, "linear_dynamic_fp16")
    )


@dataclass(frozen=True)
class Packed:
    """W (V, d) as float16, times a power of two, in parts of some rows each; and the bias (V,)."""

    parts: tuple[Any, ...]
    factor: float  # what the parts' products are multiplied by
    bias: Tensor | None = None

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor | None = None) -> Packed | None:
        """None where float16 would change a weight by more than `LARGEST_ERROR` allows, as most
        that were trained or added to in float32."""
        weight = weight.detach()
        if not may_fit(weight):
            return None
        low, high = torch.aminmax(weight)
        exponent = 15 - int(torch.frexp(torch.maximum(-low, high)).exponent)
        if abs(exponent) > 60 or not _fits(sample(weight) * 2.0**exponent):
            return None
        parts = []
        for part in weight.split(max(1, BLOCK // weight.shape[1])):
            scaled = part * 2.0**exponent
            if not _fits(scaled):
                return None
            parts.append(torch.ops.quantized.linear_prepack_fp16(scaled, None))
        return cls(tuple(parts), 2.0**-exponent, None if bias is None else bias.detach())

    def takes(self, states: Tensor) -> bool:
        """Whether states (..., d) are few, in float32, and nobody asks for their gradient."""
        return (
            states.numel() <= MOST_ROWS * states.shape[-1]
            and states.dtype is torch.float32
            and not torch.is_grad_enabled()
        )

    def product(self, states: Tensor) -> Tensor:
        """W h + b (..., V) of states (..., d). Equal to torch's product but for the order of a
        sum, and with the same bytes at any number of threads."""
        multiply = torch.ops.quantized.linear_dynamic_fp16
        outs = [multiply(states, part) for part in self.parts]
        out = (outs[0] if len(outs) == 1 else torch.cat(outs, -1)).mul_(self.factor)
        return out if self.bias is None else out.add_(self.bias)


def _fits(scaled: Tensor) -> bool:
    """Whether float16 holds these numbers."""
    return bool((scaled.half().float() - scaled).abs().max() <= LARGEST_ERROR)


def sample(weight: Tensor) -> Tensor:
    """Some of the values of a matrix, evenly spaced."""
    flat = weight.detach().reshape(-1)
    return flat[:: max(1, len(flat) // SAMPLE)].clone()
