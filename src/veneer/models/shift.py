"""The shift of a large model's logits by what a small model's head has learned."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from veneer.models.head import Head


@dataclass(frozen=True)
class LogitShift:
    """dW of a small model's head on R rows, addressed by a large model's ids, in the units of the
    large model's W h.

    rows: (R,) the large model's ids of the rows that change. values: (R, d) of dW, or None where it
    is A B with A (R, r) and B (r, d). bias: (R,) or None, added to dW h. to_small: (V,) the small
    model's id of each of the large one's.
    """

    rows: Tensor
    to_small: Tensor
    values: Tensor | None = None
    A: Tensor | None = None
    B: Tensor | None = None
    bias: Tensor | None = None

    def of(self, hidden: Tensor) -> Tensor:
        """dW h (+ bias) (..., R) for the small model's hidden states (..., d), in
        float32 or better."""
        linear = torch.nn.functional.linear
        if self.values is not None:
            out = linear(hidden.to(self.values.dtype), self.values, self.bias)
        else:
            assert self.A is not None and self.B is not None
            out = linear(linear(hidden.to(self.B.dtype), self.B), self.A, self.bias)
        return out.float() if out.dtype in (torch.float16, torch.bfloat16) else out

    def logits(
        self, head: Head, hidden: Tensor, small_hidden: Tensor, alpha: float | Tensor
    ) -> Tensor:
        """cap(scale * (W h + b + alpha (dW h_s + bias))) (..., V): the large model's head with the
        shift before its scale and cap.

        alpha: a number, or one for each row of `hidden` (..., 1).
        """
        raw = head.raw(hidden)
        moved = alpha * self.of(small_hidden)
        return head.transform(raw.index_add_(-1, self.rows, moved.to(raw.dtype)))

    def small_ids(self, ids: Tensor) -> Tensor:
        """The small model's ids of the large model's ids."""
        return self.to_small[ids]
