"""Weights that are packed once, for the few rows of a decoding step on a CPU.

The library behind torch's float32 products copies the whole matrix into an order of its own at each
product, which costs as much as the product where a batch has 16 rows. FBGEMM, which torch's builds
for x86 contain, keeps a matrix in its order, as float16, and widens it to float32 inside the
product: no copy, half as much to read, sums in float32. It is used where a matrix loses nothing by
it, which holds for a checkpoint that was stored in bfloat16 or float16; rows that a merged veneer
has changed stay in float32 (`Packed.of`). Elsewhere everything stays as it is. What it gains:
docs/performance.md, Decoding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from veneer.models.plain_product import plain_product

MOST_ROWS = 64  # with more, the plain product is as fast
BLOCK = 1 << 20  # weights of one packed part: 2 MB, which the caches hold
# Half of float16's smallest number: the largest error of a weight, where the largest weight lies
# between 2^14 and 2^15. A float32 sum rounds by more than 2^15 times as much.
LARGEST_ERROR = 2.0**-25
MOST_PLAIN = 1 / 3  # of the rows
TRIED = 64  # rows that are looked at first: where nearly all of them would change, so would W


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
    """W (V, d) as float16, times a power of two, in parts of some rows each; and the bias (V,).

    Rows that float16 would change, as a merged veneer leaves them, are in no part but in `plain`
    (R, d), in float32 and times the same power. `order` (V,) puts the products in the rows' order:
    the place of each row among those of the parts and of `plain`, one behind the other.
    """

    parts: tuple[Any, ...]
    factor: float  # what the products are multiplied by
    bias: Tensor | None = None
    plain: Tensor | None = None
    order: Tensor | None = None

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor | None = None) -> Packed | None:
        """None where float16 would change weights in more than `MOST_PLAIN` of the rows by more
        than `LARGEST_ERROR` allows, as where they were trained in float32."""
        weight = weight.detach()
        if not may_fit(weight):
            return None
        low, high = torch.aminmax(weight)
        if not bool(torch.isfinite(high - low)):
            return None
        exponent = 15 - int(torch.frexp(torch.maximum(-low, high)).exponent)
        if abs(exponent) > 60:
            return None
        scale = 2.0**exponent
        if _would_change(weight[:: max(1, len(weight) // TRIED)] * scale).float().mean() > 0.9:
            return None
        blocks = weight.split(max(1, BLOCK // weight.shape[1]))
        change = torch.cat([_would_change(block * scale) for block in blocks])
        if change.float().mean() > MOST_PLAIN:
            return None
        pack = torch.ops.quantized.linear_prepack_fp16
        parts = tuple(
            pack(block[~rows] * scale, None)
            for block, rows in zip(blocks, change.split(len(blocks[0])), strict=True)
            if not rows.all()
        )
        bias = None if bias is None else bias.detach()
        if not change.any():
            return cls(parts, 1 / scale, bias)
        order = change.int().argsort(stable=True).argsort()
        return cls(parts, 1 / scale, bias, weight[change] * scale, order)

    def takes(self, states: Tensor) -> bool:
        """Whether states (..., d) are few, in float32, and nobody asks for their gradient."""
        return (
            states.numel() <= MOST_ROWS * states.shape[-1]
            and states.dtype is torch.float32
            and not torch.is_grad_enabled()
        )

    def product(self, states: Tensor) -> Tensor:
        """W h + b (..., V) of states (..., d). Equal to torch's product but for the order of a sum;
        without plain rows, with the same bytes at any number of threads."""
        multiply = torch.ops.quantized.linear_dynamic_fp16
        outs = [multiply(states, part) for part in self.parts]
        if self.plain is not None:
            outs.append(plain_product(states, self.plain))
        out = (outs[0] if len(outs) == 1 else torch.cat(outs, -1)).mul_(self.factor)
        if self.order is not None:
            out = out.index_select(-1, self.order)
        return out if self.bias is None else out.add_(self.bias)


def _would_change(scaled: Tensor) -> Tensor:
    """(V,) whether float16 would change a row."""
    return (scaled.half().float() - scaled).abs().amax(-1) > LARGEST_ERROR
