"""The bias-only veneer: a constant vector in place of dW h, the lower bound of "style".

With a feature that is always 1 beside the hidden states, h' = [h; 1], W' = [W, 0] and dW' = [0, b],
it is the same convex problem over the same targets with V parameters: the gradient's last column is
mean_t (q_t - p_t).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from veneer.head.objective import Objective
from veneer.head.target import TargetHead
from veneer.head.token_blocks import Block
from veneer.head.veneer import Veneer
from veneer.models.head import Head


@dataclass
class Constant:
    """x = b (R,), the last column of dW' (R, d + 1). curvature: q (1 - q) of each row, at base
    or at the targets."""

    width: int
    curvature: Tensor  # (R,)

    @classmethod
    def of(cls, objective: Objective) -> Constant:
        q = torch.maximum(objective.base_mass, objective.target_mass)
        return cls(objective.W.shape[1], (q * (1 - q)).clamp(min=0).to(objective.W.dtype))

    def start(self, change: Tensor | None, *, direct: bool) -> Tensor:
        """direct: refused by ExtractConfig."""
        return torch.zeros_like(self.curvature) if change is None else change[:, -1].clone()

    def to_change(self, x: Tensor) -> Tensor:
        out = x.new_zeros(len(x), self.width)
        out[:, -1] = x
        return out

    def pull_back(self, x: Tensor, gradient: Tensor) -> Tensor:
        return gradient[:, -1].clone()

    def scale(self, x: Tensor, ridge: float) -> Tensor:
        return 1 / (self.curvature + ridge + 1e-8)

    def veneer(self, x: Tensor, target: TargetHead) -> Veneer:
        return target.constant(x)


def with_ones(blocks: Iterable[Block]) -> Iterator[Block]:
    """Blocks whose hidden states (n, d) are (n, d + 1), the last feature 1."""
    for block in blocks:
        hidden = block["hidden"].float()
        yield {**block, "hidden": torch.cat([hidden, hidden.new_ones(len(hidden), 1)], dim=1)}


def wider(head: Head) -> Head:
    """The head that reads these and does not look at the last feature."""
    return head.with_weight(torch.cat([head.weight, head.weight.new_zeros(head.rows, 1)], dim=1))
