"""The product of a large matrix with few states on a CPU, with torch's own numbers."""

from __future__ import annotations

import torch
from torch import Tensor

# weights that a CPU multiplies at once by few states: 2 MB in float32, which its caches hold
BLOCK = 1 << 19
FEW = 128  # states; more of them are multiplied as fast by the whole matrix


def plain_product(hidden: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """W h + b of states (..., d).

    A step of decoding multiplies a large matrix by a few states, which the CPU libraries do at half
    of their speed. Blocks of rows give the same numbers sooner (docs/performance.md, Decoding).
    """
    count = hidden.numel() // max(1, hidden.shape[-1])
    rows = max(128, BLOCK // max(1, weight.shape[1]))
    learns = torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad)
    single = weight.dtype is torch.float32 and weight.device.type == "cpu"
    if learns or not single or not 1 < count <= FEW or rows >= len(weight):
        return torch.nn.functional.linear(hidden, weight, bias)
    states = hidden.reshape(count, -1)
    out = states.new_empty(count, len(weight))
    for at in range(0, len(weight), rows):
        block, place = weight[at : at + rows].mT, out[:, at : at + rows]
        if bias is None:
            torch.mm(states, block, out=place)
        else:
            torch.addmm(bias[at : at + rows], states, block, out=place)
    return out.view(*hidden.shape[:-1], len(weight))
