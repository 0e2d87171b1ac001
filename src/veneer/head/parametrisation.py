"""Parametrisations of dW: each maps a well-conditioned tensor x to dW and dW's gradient back to x.

The covariance of the hidden states is badly scaled (eigenvalues over four orders of magnitude on
the small real pair), so x lives in its eigenbasis and `scale` is the inverse of a diagonal
approximation of the Hessian there: CURVATURE * eigenvalue + ridge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from veneer.head.objective import Objective
from veneer.head.target import TargetHead
from veneer.head.veneer import Veneer

# typical q (1 - q) of a row in use; measured on the small real pair, 0.05 to 0.5 do about as well
CURVATURE = 0.1


class Coordinates(Protocol):
    """A set of changes of the head, written as tensors x; `change` is scale * dW (R, d). All that
    the solver needs."""

    def to_change(self, x: Tensor) -> Tensor:
        """The change at x."""
        ...

    def pull_back(self, x: Tensor, gradient: Tensor) -> Tensor:
        """The gradient by x, from the gradient by the change (R, d)."""
        ...

    def scale(self, x: Tensor, ridge: float) -> Tensor:
        """The inverse of a diagonal approximation of the Hessian, in the shape of x."""
        ...


class Parametrisation(Coordinates, Protocol):
    """Coordinates of changes that can be stored."""

    def veneer(self, x: Tensor, target: TargetHead) -> Veneer:
        """The artefact at x."""
        ...


class Full(Parametrisation, Protocol):
    """One that an extraction can begin with; a low rank begins at the optimum of a full one."""

    def start(self, change: Tensor | None, *, direct: bool) -> Tensor:
        """x at a change, or without one where the ridge pulls to: no change, or (direct) -W."""
        ...


@dataclass
class Eigenbasis:
    """Eigenvectors (d, d) of a covariance, in columns, and its eigenvalues (d,), ascending, none
    below 0."""

    vectors: Tensor
    values: Tensor

    @classmethod
    def of(cls, covariance: Tensor, dtype: torch.dtype) -> Eigenbasis:
        values, vectors = torch.linalg.eigh(covariance)
        return cls(vectors.to(dtype), values.clamp(min=0).to(dtype))


@dataclass
class Dense:
    """hidden -> logit: x = dW U (R, d), U the eigenvectors of the covariance."""

    weight: Tensor  # (R, d) = scale * W
    basis: Eigenbasis

    @classmethod
    def of(cls, objective: Objective) -> Dense:
        return cls(objective.W, Eigenbasis.of(objective.covariance, objective.W.dtype))

    def start(self, change: Tensor | None, *, direct: bool) -> Tensor:
        if change is None:
            change = -self.weight if direct else torch.zeros_like(self.weight)
        return change @ self.basis.vectors

    def to_change(self, x: Tensor) -> Tensor:
        return x @ self.basis.vectors.t()

    def pull_back(self, x: Tensor, gradient: Tensor) -> Tensor:
        return gradient @ self.basis.vectors

    def scale(self, x: Tensor, ridge: float) -> Tensor:
        values = self.basis.values
        return (1 / (CURVATURE * values + ridge + 1e-8 * values[-1])).expand_as(x)

    def veneer(self, x: Tensor, target: TargetHead) -> Veneer:
        return target.dense(self.to_change(x))


@dataclass
class LowRank:
    """dW = A B of rank r, x = [A | B' ] flattened: B = B' C^(-1/2). Not convex in (A, B): started
    at the best rank-r approximation, in the metric of the hidden states, of the dense optimum."""

    rows: int
    rank: int
    whiten: Tensor  # (d, d) symmetric C^(-1/2)
    singular: Tensor  # (r,) of the start

    @classmethod
    def of(cls, change: Tensor, covariance: Tensor, rank: int) -> tuple[LowRank, Tensor]:
        """The parametrisation and the start x for a dense `change` (R, d)."""
        values, vectors = torch.linalg.eigh(covariance)
        values = values.clamp(min=1e-6 * float(values[-1]))
        root = (vectors * values.sqrt()) @ vectors.t()
        inverse = (vectors / values.sqrt()) @ vectors.t()
        # (R, d): its Frobenius norm is the root mean square of dW h over the data
        seen = change.double() @ root
        squares, right = torch.linalg.eigh(seen.t() @ seen)
        order = squares.argsort(descending=True)[:rank]
        singular = squares[order].clamp(min=1e-12).sqrt()
        A = seen @ right[:, order] / singular.sqrt()  # (R, r)
        B = (right[:, order] * singular.sqrt()).t()  # (r, d), whitened
        x = torch.cat([A.reshape(-1), B.reshape(-1)]).to(change.dtype)
        return cls(len(change), len(order), inverse.to(change.dtype), singular.to(change.dtype)), x

    def factors(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """A (R, r) and B (r, d)."""
        cut = self.rows * self.rank
        return x[:cut].view(self.rows, self.rank), x[cut:].view(self.rank, -1) @ self.whiten

    def to_change(self, x: Tensor) -> Tensor:
        A, B = self.factors(x)
        return A @ B

    def pull_back(self, x: Tensor, gradient: Tensor) -> Tensor:
        A, B = self.factors(x)
        return torch.cat(
            [(gradient @ B.t()).reshape(-1), (A.t() @ gradient @ self.whiten).reshape(-1)]
        )

    def scale(self, x: Tensor, ridge: float) -> Tensor:
        s = 1 / (CURVATURE * self.singular + ridge)
        width = self.whiten.shape[0]
        return torch.cat(
            [
                s.expand(self.rows, self.rank).reshape(-1),
                s[:, None].expand(self.rank, width).reshape(-1),
            ]
        )

    def veneer(self, x: Tensor, target: TargetHead) -> Veneer:
        return target.low_rank(*self.factors(x))


@dataclass
class Hidden:
    """hidden -> hidden: h becomes h + M h, so dW = W M with M (d, d); x is M in the eigenbases of
    W's and h's covariance."""

    weight: Tensor  # (R, d) = scale * W
    left: Eigenbasis
    right: Eigenbasis

    @classmethod
    def of(cls, objective: Objective) -> Hidden:
        weight = objective.W
        used = (weight.double() * objective.base_mass[:, None]).t() @ weight.double()
        return cls(
            weight,
            Eigenbasis.of(used, weight.dtype),
            Eigenbasis.of(objective.covariance, weight.dtype),
        )

    def start(self, change: Tensor | None, *, direct: bool) -> Tensor:
        wide, width = self.weight.double(), self.weight.shape[1]
        if change is not None:  # the nearest W M
            matrix = torch.linalg.lstsq(wide.t() @ wide, wide.t() @ change.double()).solution
        elif direct:
            matrix = -torch.eye(width, dtype=torch.float64)
        else:
            matrix = torch.zeros(width, width, dtype=torch.float64)
        left, right = self.left.vectors.double(), self.right.vectors.double()
        return (left.t() @ matrix.to(wide.device) @ right).to(self.weight.dtype)

    def matrix(self, x: Tensor) -> Tensor:
        """M (d, d)."""
        return self.left.vectors @ x @ self.right.vectors.t()

    def to_change(self, x: Tensor) -> Tensor:
        return self.weight @ self.matrix(x)

    def pull_back(self, x: Tensor, gradient: Tensor) -> Tensor:
        return self.left.vectors.t() @ (self.weight.t() @ gradient) @ self.right.vectors

    def scale(self, x: Tensor, ridge: float) -> Tensor:
        curvature = self.left.values[:, None] * self.right.values[None, :]
        return 1 / (curvature + ridge * self.left.values[-1] + 1e-6 * curvature.max())

    def veneer(self, x: Tensor, target: TargetHead) -> Veneer:
        return target.hidden(self.matrix(x))
