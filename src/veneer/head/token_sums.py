"""What a set of tokens adds to the objective (objective.py): sums, not means, so that the sums of a
capture's parts can be added."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from veneer.capture.distributions import kl_lumped
from veneer.head.token_blocks import Block, Tokens
from veneer.models.head import Head

CHUNK_ELEMENTS = 1 << 24  # of one (tokens, rows) buffer: 64 MB in float32
KL_COLUMNS = ("aligned_logprobs", "aligned_tail", "base_at_aligned", "base_outside")


class TokenSums(Protocol):
    """The sums over the tokens of an objective, wherever the tokens are."""

    W: Tensor  # (R, d) = scale * W: base's rows that change

    def set_up(self) -> dict[str, Tensor]:
        """counts (2,) float64: tokens, and base's KL in nats; G (R, d): target probability times
        hidden state; covariance (d, d) float64: of the hidden states, about zero; target_mass and
        base_mass (R,) float64: probability of each row. All summed."""

    def evaluate(
        self, change: Tensor, n: int, *, gradient: bool, relaxed: bool
    ) -> tuple[Tensor, Tensor | None]:
        """At scale * dW = change (R, d): the sum of log-normalisers, () float64, and the sum of
        model probability times hidden state, (R, d), divided by n (tokens of all sums). With a soft
        cap: the sum of cross-entropies and their gradient, divided alike. relaxed: leave the soft
        cap out."""


def changing(head: Head, rows: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    """scale * W (R, d) of the rows that change."""
    return head.weight.to(device, dtype)[rows.to(device)] * head.scale


class LocalSums:
    """Sums over tokens that this process reads. One pass sets up; each evaluation is one pass."""

    def __init__(self, tokens: Tokens, head: Head, rows: Tensor):
        self.tokens, self.rows = tokens, rows.to(tokens.device)
        self.softcap = head.softcap
        self.W = changing(head, rows, tokens.dtype, tokens.device)
        self.bias = (
            None
            if head.bias is None
            else head.bias.to(tokens.device, tokens.dtype)[self.rows] * head.scale
        )
        self._place = torch.full((head.rows,), -1, dtype=torch.long, device=tokens.device)
        self._place[self.rows] = torch.arange(len(self.rows), device=tokens.device)
        self._all_rows = len(self.rows) == head.rows
        self.chunk = max(16, CHUNK_ELEMENTS // max(1, len(self.rows)))
        self._buffer = torch.empty(0, device=tokens.device, dtype=tokens.dtype)
        self.log_fixed: list[Tensor] = []
        # log of (tail mass / base's tail mass / base's normaliser): p_tj = exp(that + z0_tj)
        self.log_spread: list[Tensor] = []

    def _logits(self, hidden: Tensor, weight: Tensor, cap: bool = True) -> Tensor:
        """(n, d) -> (n, R) in a buffer that is used again."""
        need = len(hidden) * len(weight)
        if self._buffer.numel() < need:
            self._buffer = torch.empty(need, device=hidden.device, dtype=hidden.dtype)
        out = self._buffer[:need].view(len(hidden), len(weight))
        torch.mm(hidden, weight.t(), out=out)
        if self.bias is not None:
            out += self.bias
        return (
            out.div_(self.softcap).tanh_().mul_(self.softcap)
            if cap and self.softcap is not None
            else out
        )

    def _chunks(self, block: Block) -> list[slice]:
        n = len(block["position"])
        return [slice(at, min(n, at + self.chunk)) for at in range(0, n, self.chunk)]

    def set_up(self) -> dict[str, Tensor]:
        """One pass: G, the fixed rows' log-normalisers, the covariance of the hidden states, how
        much each row is used."""
        rows, width = self.W.shape
        device, exact = self.W.device, torch.float64
        G = torch.zeros(rows, width, device=device, dtype=self.W.dtype)
        covariance = torch.zeros(width, width, device=device, dtype=exact)
        target_mass = torch.zeros(rows, device=device, dtype=exact)
        base_mass = torch.zeros(rows, device=device, dtype=exact)
        n, kl = 0, 0.0
        self.log_fixed, self.log_spread = [], []
        for block in self.tokens:
            hidden = block["hidden"]
            kl += float(kl_lumped(*(block[c] for c in KL_COLUMNS)).sum())
            n += len(hidden)
            covariance += (
                hidden.double().t() @ hidden.double()
                if hidden.dtype == torch.float64
                else (hidden.t() @ hidden).double()
            )
            log_spread = block["aligned_tail"] - block["base_outside"] - block["base_logz"]
            fixed = []
            for cut in self._chunks(block):
                z = self._logits(hidden[cut], self.W)
                place = self._place[block["aligned_ids"][cut].long()]  # (n, k), -1 for a fixed row
                inside = place >= 0
                # base's probabilities b_tj on the rows
                z.sub_(block["base_logz"][cut][:, None]).exp_()
                held = z.sum(1)
                fixed.append((1 - held).clamp(min=0).log() + block["base_logz"][cut])
                base_mass += z.sum(0)
                # targets: spread tail everywhere, then the top k in their places
                p = z.mul_((log_spread[cut] + block["base_logz"][cut]).exp()[:, None])
                row = torch.arange(len(p), device=p.device)[:, None].expand_as(place)[inside]
                p[row, place[inside]] = block["aligned_logprobs"][cut][inside].exp()
                target_mass += p.sum(0)
                G.addmm_(p.t(), hidden[cut])
            empty = block["base_logz"][:0]
            self.log_fixed.append(
                torch.full_like(block["base_logz"], -torch.inf)
                if self._all_rows
                else torch.cat([*fixed, empty])
            )
            self.log_spread.append(log_spread)
        counts = torch.tensor([n, kl], device=device, dtype=exact)
        return {
            "counts": counts,
            "G": G,
            "covariance": covariance,
            "target_mass": target_mass,
            "base_mass": base_mass,
        }

    def evaluate(
        self, change: Tensor, n: int, *, gradient: bool, relaxed: bool
    ) -> tuple[Tensor, Tensor | None]:
        if self.softcap is not None and not relaxed:
            return self._evaluate_capped(change, n, gradient)
        weight = self.W + change
        total = torch.zeros((), device=weight.device, dtype=torch.float64)
        into = torch.zeros_like(self.W) if gradient else None
        for block, log_fixed in zip(self.tokens, self.log_fixed, strict=True):
            for cut in self._chunks(block):
                hidden = block["hidden"][cut]
                z = self._logits(hidden, weight, cap=False)
                top = torch.maximum(z.amax(1), log_fixed[cut])
                z.sub_(top[:, None]).exp_()
                s = z.sum(1) + (log_fixed[cut] - top).exp()
                total += (s.double().log() + top.double()).sum()
                if into is not None:
                    into.addmm_(z.t(), hidden / (s * n)[:, None])
        return total, into

    def _evaluate_capped(
        self, change: Tensor, n: int, gradient: bool
    ) -> tuple[Tensor, Tensor | None]:
        """With a soft cap the logits are not linear in dW: the targets are built in each pass, and
        the problem is not convex."""
        cap = self.softcap
        assert cap is not None
        weight = self.W + change
        total = torch.zeros((), device=weight.device, dtype=torch.float64)
        into = torch.zeros_like(self.W) if gradient else None
        for block, log_fixed, log_spread in zip(
            self.tokens, self.log_fixed, self.log_spread, strict=True
        ):
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
                if into is not None:
                    into.addmm_((q.div_(s[:, None]).sub_(p).mul_(slope)).t(), hidden / n)
        return total, into
