"""A fused kernel for the one step of an evaluation that is no matrix product, and what it
could gain at most.

`head/objective.py` needs of logits z (n, R) and the fixed rows' log-normaliser f (n,): top =
max(max_j z_j, f), z <- exp(z - top) in place, s = sum_j z_j + exp(f - top). Plain PyTorch goes
through z six times (max; subtract and exp in place, each reading and writing; sum), this kernel
three times: once for the running maximum, once reading and writing. Both products around it go
through z once each as well. Without a GPU it can be tried with TRITON_INTERPRET=1.
"""

from __future__ import annotations

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None


def plain(z: Tensor, log_fixed: Tensor) -> tuple[Tensor, Tensor]:
    """(top, s), both (n,); z becomes exp(z - top)."""
    top = torch.maximum(z.amax(1), log_fixed)
    z.sub_(top[:, None]).exp_()
    return top, z.sum(1) + (log_fixed - top).exp()


if triton is not None:

    @triton.jit
    def _rows(z_at, fixed_at, top_at, sum_at, columns, stride, BLOCK: tl.constexpr):
        row = tl.program_id(0).to(tl.int64)
        fixed = tl.load(fixed_at + row)
        highest = tl.full((BLOCK,), float("-inf"), tl.float32)
        for at in range(0, columns, BLOCK):
            place = at + tl.arange(0, BLOCK)
            highest = tl.maximum(
                highest,
                tl.load(z_at + row * stride + place, mask=place < columns, other=float("-inf")),
            )
        top = tl.maximum(tl.max(highest, 0), fixed)
        total = tl.zeros((BLOCK,), tl.float32)
        for at in range(0, columns, BLOCK):
            place = at + tl.arange(0, BLOCK)
            e = tl.exp(
                tl.load(z_at + row * stride + place, mask=place < columns, other=float("-inf"))
                - top
            )
            tl.store(z_at + row * stride + place, e, mask=place < columns)
            total += e
        tl.store(top_at + row, top)
        tl.store(sum_at + row, tl.sum(total, 0) + tl.exp(fixed - top))


def fused(z: Tensor, log_fixed: Tensor, block: int = 4096) -> tuple[Tensor, Tensor]:
    """The same in one kernel. Raises RuntimeError without Triton."""
    if triton is None:
        raise RuntimeError("triton is not installed; it comes with PyTorch's CUDA builds")
    top, total = torch.empty_like(log_fixed), torch.empty_like(log_fixed)
    _rows[(len(z),)](
        z,
        log_fixed,
        top,
        total,
        z.shape[1],
        z.stride(0),
        BLOCK=min(block, triton.next_power_of_2(z.shape[1])),
    )
    return top, total
