"""The head that a veneer will change, and the artefact made of what the solver gives for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from veneer.head.veneer import Veneer
from veneer.models.head import Head


@dataclass(frozen=True)
class TargetHead:
    """head: base's, over the shared vocabulary. rows: ids (R,) that change. facts: what the veneer
    records.

    Solvers work on scale * dW, since the head's scale is folded into the objective; what they give
    is divided by the scale here.
    """

    head: Head
    rows: Tensor
    facts: dict[str, Any]

    def dense(self, change: Tensor) -> Veneer:
        """change: scale * dW (R, d)."""
        return self._veneer(_stored(change / self.head.scale), None, None, self._kept_rows())

    def low_rank(self, A: Tensor, B: Tensor) -> Veneer:
        """scale * dW = A (R, r) B (r, d)."""
        return self._veneer(None, _stored(A / self.head.scale), _stored(B), self._kept_rows())

    def hidden(self, matrix: Tensor) -> Veneer:
        """dW = W M with M (d, d): every row changes."""
        return self._veneer(None, _stored(self.head.weight.to(matrix)), _stored(matrix), None)

    def constant(self, bias: Tensor) -> Veneer:
        """bias: scale * b (R,), in place of dW h."""
        return Veneer.of_bias(
            self.head.hash(),
            self.head.width,
            (bias / self.head.scale).float().cpu(),
            self.rows.cpu(),
            vocabulary=self.head.rows,
            **self.facts,
        )

    def _kept_rows(self) -> Tensor | None:
        return None if len(self.rows) == self.head.rows else self.rows.cpu()

    def _veneer(
        self, dW: Tensor | None, A: Tensor | None, B: Tensor | None, rows: Tensor | None
    ) -> Veneer:
        return Veneer(self.head.hash(), self.head.rows, dW, rows, A, B, self.facts)


def _stored(values: Tensor) -> Tensor:
    return values.detach().float().cpu().contiguous()
