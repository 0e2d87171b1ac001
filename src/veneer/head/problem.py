"""The extraction problem: a multinomial logistic regression with soft targets, convex in dW.

    loss(dW) = mean_t CE(p_t, softmax((W + dW) h_t)) + ridge/2 |dW|^2,     gradient = mean_t (q_t - p_t) h_t^T + ridge dW

p_t is the aligned model's distribution: its stored top k, and its tail mass spread as base's own tail (spec: "The tail and
convexity"), so p_t is a full distribution and the problem convex. Three identities make an evaluation two matrix products over the
R changing rows, with nothing of size N x V:

1. The linear part is constant: sum_t sum_j p_tj z_tj = <G, W + dW> with G = sum_t p_t h_t^T (R, d), summed once.
2. Fixed rows add a constant to each position's normaliser: log sum_fixed exp(w_j h_t) = logz_t + log(1 - sum_rows b_tj), from the
   capture's base_logz; their target mass meets only base's logits and is a constant of the loss.
3. At dW = 0 the full KL equals the lumped one (the tails have the same shape), and differences of loss are differences of KL, so
   KL(dW) = KL_lumped(0) + loss(dW) - loss(0).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from veneer.capture.kl import kl_lumped
from veneer.head.tokens import Block, Tokens
from veneer.models.head import Head

CHUNK_ELEMENTS = 1 << 24  # of one (tokens, rows) buffer: 64 MB in float32
KL_COLUMNS = ("aligned_logprobs", "aligned_tail", "base_at_aligned", "base_outside")


@dataclass
class Evaluation:
    """kl: nats a token, ridge not counted. objective: kl + ridge/2 |dW|^2. gradient: (R, d), of the objective."""

    kl: float
    objective: float
    gradient: Tensor


class Problem:
    """The loss over one set of tokens. head: base's, over the shared vocabulary; rows: the ones that change."""

    def __init__(self, tokens: Tokens, head: Head, rows: Tensor):
        self.tokens, self.rows = tokens, rows.to(tokens.device)
        self.scale, self.softcap = head.scale, head.softcap
        self.relaxed = False  # leave the soft cap out of the loss (not of the targets): convex, to warm-start from
        self.W = head.weight.to(tokens.device, tokens.dtype)[self.rows] * head.scale  # (R, d), scale folded in
        self.bias = None if head.bias is None else head.bias.to(tokens.device, tokens.dtype)[self.rows] * head.scale
        self._place = torch.full((head.rows,), -1, dtype=torch.long, device=tokens.device)
        self._place[self.rows] = torch.arange(len(self.rows), device=tokens.device)
        self._all_rows = len(self.rows) == head.rows
        self.chunk = max(16, CHUNK_ELEMENTS // max(1, len(self.rows)))
        self._buffer = torch.empty(0, device=tokens.device, dtype=tokens.dtype)
        self._set_up()

    def _logits(self, hidden: Tensor, weight: Tensor, cap: bool = True) -> Tensor:
        """(n, d) -> (n, R) in a buffer that is used again."""
        need = len(hidden) * len(weight)
        if self._buffer.numel() < need:
            self._buffer = torch.empty(need, device=hidden.device, dtype=hidden.dtype)
        out = self._buffer[:need].view(len(hidden), len(weight))
        torch.mm(hidden, weight.t(), out=out)
        if self.bias is not None:
            out += self.bias
        return out.div_(self.softcap).tanh_().mul_(self.softcap) if cap and self.softcap is not None else out

    def _chunks(self, block: Block) -> list[slice]:
        n = len(block["position"])
        return [slice(at, min(n, at + self.chunk)) for at in range(0, n, self.chunk)]

    def _set_up(self) -> None:
        """One pass: G, the fixed rows' log-normalisers, the covariance of the hidden states, how much each row is used."""
        rows, width = self.W.shape
        device, exact = self.W.device, torch.float64
        self.G = torch.zeros(rows, width, device=self.W.device, dtype=self.W.dtype)
        self.covariance = torch.zeros(width, width, device=device, dtype=exact)
        self.target_mass = torch.zeros(rows, device=device, dtype=exact)
        self.base_mass = torch.zeros(rows, device=device, dtype=exact)
        self.log_fixed: list[Tensor] = []
        self.log_spread: list[Tensor] = []  # log of (tail mass / base's tail mass / base's normaliser): p_tj = exp(that + z0_tj)
        self.n, kl = 0, 0.0
        for block in self.tokens:
            hidden = block["hidden"]
            kl += float(kl_lumped(*(block[c] for c in KL_COLUMNS)).sum())
            self.n += len(hidden)
            self.covariance += (
                hidden.double().t() @ hidden.double() if hidden.dtype == torch.float64 else (hidden.t() @ hidden).double()
            )
            log_spread = block["aligned_tail"] - block["base_outside"] - block["base_logz"]
            fixed = []
            for cut in self._chunks(block):
                z = self._logits(hidden[cut], self.W)
                place = self._place[block["aligned_ids"][cut].long()]  # (n, k), -1 for a fixed row
                inside = place >= 0
                z.sub_(block["base_logz"][cut][:, None]).exp_()  # base's probabilities b_tj on the rows
                held = z.sum(1)
                fixed.append((1 - held).clamp(min=0).log() + block["base_logz"][cut])
                self.base_mass += z.sum(0)
                # targets: spread tail everywhere, then the top k in their places
                p = z.mul_((log_spread[cut] + block["base_logz"][cut]).exp()[:, None])
                row = torch.arange(len(p), device=p.device)[:, None].expand_as(place)[inside]
                p[row, place[inside]] = block["aligned_logprobs"][cut][inside].exp()
                self.target_mass += p.sum(0)
                self.G.addmm_(p.t(), hidden[cut])
            empty = block["base_logz"][:0]
            self.log_fixed.append(
                torch.full_like(block["base_logz"], -torch.inf) if self._all_rows else torch.cat([*fixed, empty])
            )
            self.log_spread.append(log_spread)
        self.G /= self.n
        self.covariance /= self.n
        self.target_mass /= self.n
        self.base_mass /= self.n
        self.base_kl = kl / self.n
        self._offset = 0.0
        self._offset = self.base_kl - self.loss(torch.zeros_like(self.W))

    def loss(self, change: Tensor) -> float:
        """KL in nats a token at dW = `change` / scale."""
        return self._pass(change, want_gradient=False)[0]

    def evaluate(self, change: Tensor, ridge: float = 0.0) -> Evaluation:
        """KL, objective and gradient at `change` (R, d) = scale * dW."""
        kl, gradient = self._pass(change, want_gradient=True)
        assert gradient is not None
        penalty = 0.5 * ridge * float(change.double().square().sum()) if ridge else 0.0
        if ridge:
            gradient = gradient.add_(change, alpha=ridge)
        return Evaluation(kl, kl + penalty, gradient)

    def _pass(self, change: Tensor, want_gradient: bool) -> tuple[float, Tensor | None]:
        if self.softcap is not None and not self.relaxed:
            return self._pass_capped(change, want_gradient)
        weight = self.W + change
        total = torch.zeros((), device=weight.device, dtype=torch.float64)
        gradient = -self.G if want_gradient else None
        for block, log_fixed in zip(self.tokens, self.log_fixed, strict=True):
            for cut in self._chunks(block):
                hidden = block["hidden"][cut]
                z = self._logits(hidden, weight, cap=False)
                top = torch.maximum(z.amax(1), log_fixed[cut])
                z.sub_(top[:, None]).exp_()
                s = z.sum(1) + (log_fixed[cut] - top).exp()
                total += (s.double().log() + top.double()).sum()
                if gradient is not None:
                    gradient.addmm_(z.t(), hidden / (s * self.n)[:, None])
        linear = (self.G * weight).sum(dtype=torch.float64)
        return float(total / self.n - linear) + self._offset, gradient

    def _pass_capped(self, change: Tensor, want_gradient: bool) -> tuple[float, Tensor | None]:
        """With a soft cap the logits are not linear in dW: the targets are built in each pass, and the problem is not convex."""
        cap = self.softcap
        assert cap is not None
        weight = self.W + change
        total = torch.zeros((), device=weight.device, dtype=torch.float64)
        gradient = torch.zeros_like(self.W) if want_gradient else None
        for block, log_fixed, log_spread in zip(self.tokens, self.log_fixed, self.log_spread, strict=True):
            for cut in self._chunks(block):
                hidden = block["hidden"][cut]
                p = self._logits(hidden, self.W).add_(log_spread[cut][:, None]).exp_().clone()
                place = self._place[block["aligned_ids"][cut].long()]
                inside = place >= 0
                row = torch.arange(len(p), device=p.device)[:, None].expand_as(place)[inside]
                p[row, place[inside]] = block["aligned_logprobs"][cut][inside].exp()
                z = self._logits(hidden, weight)
                total -= (p * z).sum(dtype=torch.float64)
                slope = 1 - (z / cap).square()  # of cap() at the raw logit: 1 - tanh^2
                top = torch.maximum(z.amax(1), log_fixed[cut])
                q = z.sub_(top[:, None]).exp_()
                s = q.sum(1) + (log_fixed[cut] - top).exp()
                total += (s.double().log() + top.double()).sum()
                if gradient is not None:
                    gradient.addmm_((q.div_(s[:, None]).sub_(p).mul_(slope)).t(), hidden / self.n)
        return float(total / self.n) + self._offset, gradient
