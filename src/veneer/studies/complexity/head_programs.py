"""Head programs: a low-rank veneer in integers, its A solved again behind the rounded B."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from veneer.capture.artefact import Capture
from veneer.head.config import ExtractConfig
from veneer.head.objective import Objective
from veneer.head.parametrisation import CURVATURE
from veneer.head.solve import solve
from veneer.head.split import Split
from veneer.head.token_sources import LocalSource
from veneer.head.veneer import Veneer
from veneer.studies.complexity.program.encoder import HeadNumbers

EVALUATIONS, PATIENCE = 12, 2
GAP_BITS = 8.0  # about what a row's id costs


@dataclass(frozen=True)
class HeadCandidate:
    """A head program that may be kept. select_kl: nats per token on the select part."""

    rank: int
    step: int
    price: float
    numbers: HeadNumbers
    payload: bytes
    select_kl: float


class FixedB:
    """A change A B with fixed B (r, d) on some of the rows: x = A (R, r), convex."""

    def __init__(self, B: Tensor, kept: Tensor):
        self.B, self.kept = B, kept[:, None].to(B)

    def to_change(self, x: Tensor) -> Tensor:
        return (x * self.kept) @ self.B

    def pull_back(self, x: Tensor, gradient: Tensor) -> Tensor:
        return (gradient @ self.B.t()) * self.kept

    def scale(self, x: Tensor, ridge: float) -> Tensor:
        """B h has unit variance."""
        return torch.full_like(x, 1 / (CURVATURE + ridge))


class HeadCoding:
    """Codes low-rank veneers of one capture. shuffled: the head-capacity control's states."""

    def __init__(
        self, capture: Capture, split: Split, config: ExtractConfig, *, shuffled: bool = False
    ):
        source = LocalSource(
            capture,
            getattr(torch, config.dtype),
            torch.device("cpu"),
            config.seed if shuffled else None,
            False,
        )
        self.head = source.head
        self.rows = source.used_rows(split.train, config.row_threshold)
        self.train = Objective(source.token_sums(split.train, self.rows), self.head, self.rows)
        self.select = Objective(source.token_sums(split.select, self.rows), self.head, self.rows)
        self.moment = self.train.covariance.double()
        values, vectors = torch.linalg.eigh(self.moment)
        values = values.clamp(min=1e-6 * float(values[-1]))
        self.root = (vectors * values.sqrt()) @ vectors.t()
        self.whiten = (vectors / values.sqrt()) @ vectors.t()
        # of a row's probability, the larger of what the aligned model and base give it
        self.mass = torch.maximum(self.train.target_mass, self.train.base_mass).double()

    def candidates(
        self, veneer: Veneer, steps: Sequence[int], prices: Sequence[float]
    ) -> Iterator[HeadCandidate]:
        """Programs of a low-rank veneer at every step and price. A zero veneer has none."""
        place = {int(row): i for i, row in enumerate(veneer.changed_rows())}
        if not place:
            return
        order = torch.tensor([place.get(int(row), -1) for row in self.rows])
        values = torch.zeros(len(self.rows), veneer.width, dtype=torch.float64)
        values[order >= 0] = veneer.values().double()[order[order >= 0]]
        A, B = self._factors(values, int(veneer.rank or 1))
        if not float(A.abs().max()) > 0:
            return
        ridge = float(veneer.facts["extraction"]["ridge"])
        for step in steps:
            for price in prices:
                candidate = self._candidate(A, B, ridge, step, price)
                if candidate is not None:
                    yield candidate

    def _factors(self, values: Tensor, rank: int) -> tuple[Tensor, Tensor]:
        """A (R, r) in logits and B (r, d) such that B h has unit variance over the train tokens."""
        seen = values @ self.root
        squares, right = torch.linalg.eigh(seen.t() @ seen)
        right = right[:, squares.argsort(descending=True)[:rank]]
        return seen @ right, right.t() @ self.whiten

    def _candidate(
        self, A: Tensor, B: Tensor, ridge: float, step: int, price: float
    ) -> HeadCandidate | None:
        unit = 2.0**step
        kept = self._worth(A, unit, price)
        if not kept.any():
            return None
        size = A[kept].square().mean(0).sqrt().clamp(min=1e-9)
        # error of B h per column of A, in which both factors' roundings weigh alike
        row_exponents = torch.log2((unit / size).clamp(max=1.0)).round().long()
        spread = self.moment.diagonal().sqrt() * len(self.moment) ** 0.5
        columns = torch.log2(1 / spread.clamp(min=1e-12)).round().long()
        power = row_exponents[:, None] + columns[None, :]
        b = torch.ldexp(B, -power).round()
        rounded = torch.ldexp(b, power)
        scale = self.head.scale
        parametrisation = FixedB((scale * rounded).to(self.train.W), kept)
        solution = solve(
            self.train,
            self.select,
            parametrisation,
            A.to(self.train.W),
            ridge=ridge,
            max_evaluations=EVALUATIONS,
            patience=PATIENCE,
        )
        a = torch.ldexp(solution.x.double(), torch.tensor(-step)).round() * kept[:, None]
        used = a.abs().sum(1) > 0
        if not used.any():
            return None
        least = int(row_exponents.min())
        numbers = HeadNumbers(
            self.head.rows,
            self.head.width,
            self.rows[used].numpy().astype(np.int64),
            a[used].numpy().astype(np.int64),
            b.numpy().astype(np.int64),
            (row_exponents - least).numpy().astype(np.int64),
            np.concatenate([[step + least], columns.numpy()]).astype(np.int64),
            np.zeros(0, np.int64),
        )
        change = torch.zeros_like(self.train.W)
        change[used] = scale * torch.from_numpy(numbers.change()).to(change)
        kl = self.select.loss(change)
        return HeadCandidate(len(b), step, price, numbers, numbers.payload(), kl)

    def _worth(self, A: Tensor, unit: float, price: float) -> Tensor:
        """Rows whose gain by a second-order estimate pays for their bits, and that do not round to
        zero."""
        gain = 0.5 * self.mass * A.square().sum(1)
        bits = GAP_BITS + (2 + 2 * torch.log2(A.abs() / unit + 1)).sum(1)
        return (gain >= price * bits) & ((A.abs() / unit).round().amax(1) > 0)


def front_of(candidates: Sequence[HeadCandidate], keep: int) -> list[HeadCandidate]:
    """At most `keep` of the candidates that no shorter one equals on the select part, evenly over
    the logarithm of their length."""
    best: list[HeadCandidate] = []
    for c in sorted(candidates, key=lambda c: (len(c.payload), c.select_kl)):
        if not best or c.select_kl < best[-1].select_kl:
            best.append(c)
    if len(best) <= keep:
        return best
    places = np.log([len(c.payload) for c in best])
    wanted = np.linspace(places[0], places[-1], keep)
    return [best[i] for i in sorted({int(abs(places - w).argmin()) for w in wanted})]
