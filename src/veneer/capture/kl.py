"""KL with a lumped tail: what k log-probabilities and a tail mass allow to be said without any assumption."""

from __future__ import annotations

import torch
from torch import Tensor


def kl_lumped(logprobs: Tensor, tail: Tensor, others: Tensor, others_tail: Tensor) -> Tensor:
    """KL(p || q) in nats a token (n,), all tokens outside p's top k taken as one class.

    logprobs (n, k) and tail (n,): p's top k and the log of its remaining mass. others (n, k) and others_tail (n,): log q of the
    same tokens and of the rest. A lower bound of the full KL (data processing), exact where p's and q's tails have the same
    shape. A p of zero (-inf) adds nothing, so that for a one-hot p this is the token's negative log-likelihood under q. Computed in
    float64.
    """
    p, q, rest = logprobs.double(), others.double(), tail.double()
    return _terms(p, q).sum(-1) + _terms(rest, others_tail.double())


def _terms(p: Tensor, q: Tensor) -> Tensor:
    mass = p.exp()
    return torch.where(mass > 0, mass * (p - q), torch.zeros_like(mass))
