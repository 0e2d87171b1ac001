"""The extraction problem: a multinomial logistic regression with soft targets, convex in dW.

    loss(dW) = mean_t CE(p_t, softmax((W + dW) h_t)) + ridge/2 |dW|^2,
    gradient = mean_t (q_t - p_t) h_t^T + ridge dW

p_t is the aligned model's distribution: its stored top k, and its tail mass spread as base's own
tail (spec: "The tail and convexity"), so p_t is a full distribution and the problem convex. Three
identities make an evaluation two matrix products over the R changing rows, with nothing of size N x
V:

1. The linear part is constant: sum_t sum_j p_tj z_tj = <G, W + dW> with G = sum_t p_t h_t^T (R,
   d), summed once.
2. Fixed rows add a constant to each position's normaliser: log sum_fixed exp(w_j h_t) = logz_t +
   log(1 - sum_rows b_tj), from the capture's base_logz; their target mass meets only base's logits
   and is a constant of the loss.
3. At dW = 0 the full KL equals the lumped one (the tails have the same shape), and differences of
   loss are differences of KL, so KL(dW) = KL_lumped(0) + loss(dW) - loss(0).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from veneer.head.token_blocks import Tokens
from veneer.head.token_sums import LocalSums, TokenSums
from veneer.models.head import Head


@dataclass
class Evaluation:
    """kl: nats per token, ridge not counted. objective: kl + ridge/2 |dW|^2. gradient: (R, d),
    of the objective."""

    kl: float
    objective: float
    gradient: Tensor


class Objective:
    """The loss over one set of tokens. head: base's, over the shared vocabulary; rows: the
    ones that change.

    tokens: those that are read here, or sums over tokens that other workers hold (veneer.scale).
    """

    def __init__(self, tokens: Tokens | TokenSums, head: Head, rows: Tensor):
        self.sums: TokenSums = (
            LocalSums(tokens, head, rows) if isinstance(tokens, Tokens) else tokens
        )
        self.W = self.sums.W  # (R, d), scale folded in
        self.capped = head.softcap is not None
        sums = self.sums.set_up()
        self.n, kl = int(sums["counts"][0]), float(sums["counts"][1])
        self.G = sums["G"] / self.n
        self.covariance = sums["covariance"] / self.n
        self.target_mass, self.base_mass = sums["target_mass"] / self.n, sums["base_mass"] / self.n
        self.base_kl = kl / self.n
        self._offset = 0.0
        self._offset = self.base_kl - self.loss(torch.zeros_like(self.W))

    def uncapped(self) -> Objective:
        """The same targets and tokens with the soft cap left out of the loss (not of the targets):
        convex, to begin the search of a capped one."""
        other = copy.copy(self)
        other.capped = False
        return other

    def loss(self, change: Tensor) -> float:
        """KL in nats per token at dW = `change` / scale."""
        return self._pass(change, gradient=False)[0]

    def evaluate(self, change: Tensor, ridge: float = 0.0) -> Evaluation:
        """KL, objective and gradient at `change` (R, d) = scale * dW."""
        kl, gradient = self._pass(change, gradient=True)
        assert gradient is not None
        penalty = 0.5 * ridge * float(change.double().square().sum()) if ridge else 0.0
        if ridge:
            gradient = gradient.add_(change, alpha=ridge)
        return Evaluation(kl, kl + penalty, gradient)

    def _pass(self, change: Tensor, gradient: bool) -> tuple[float, Tensor | None]:
        total, slope = self.sums.evaluate(
            change, self.n, gradient=gradient, relaxed=not self.capped
        )
        if self.capped:
            return float(total) / self.n + self._offset, slope
        linear = float((self.G * (self.W + change)).sum(dtype=torch.float64))
        return float(total) / self.n - linear + self._offset, None if slope is None else slope.sub_(
            self.G
        )
