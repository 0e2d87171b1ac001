"""KL with a lumped tail: what k log-probabilities and a tail mass allow to be said without any assumption."""

from __future__ import annotations

import torch
from torch import Tensor


def log1mexp(x: Tensor) -> Tensor:
    """log(1 - exp(x)) for x <= 0, accurate at both ends (Maechler 2012)."""
    x = x.clamp(max=-1e-300)
    return torch.where(x > -0.6931471805599453, torch.log(-torch.expm1(x)), torch.log1p(-torch.exp(x)))


def kl_lumped(logprobs: Tensor, tail: Tensor, others: Tensor) -> Tensor:
    """KL(p || q) in nats a token (n,), all tokens outside p's top k taken as one class.

    logprobs (n, k) and tail (n,): p's top k and the log of its remaining mass. others (n, k): log q of the same tokens.
    A lower bound of the full KL (data processing), exact where p's and q's tails have the same shape.
    Computed in float64.
    """
    p, q, rest = logprobs.double(), others.double(), tail.double()
    # p and q come from one softmax each, but in float32: what is outside the k is never less than rounding
    q_tail = log1mexp(torch.logsumexp(q, -1).clamp(max=-1e-12))
    inside = (p.exp() * (p - q)).sum(-1)
    mass = rest.exp()
    outside = torch.where(mass > 0, mass * (rest - q_tail), torch.zeros_like(mass))
    return inside + outside
