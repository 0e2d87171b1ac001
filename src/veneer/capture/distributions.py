"""A distribution over a large vocabulary, kept as its k largest log-probabilities and the mass of
the rest; and the KL that can be computed from these alone, with the rest as one class."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class TopK(NamedTuple):
    """ids (n, k) int32, logprobs (n, k), tail (n,): log of the mass outside the k tokens, logz
    (n,): log of the normaliser."""

    ids: Tensor
    logprobs: Tensor
    tail: Tensor
    logz: Tensor


def logsumexp(logits: Tensor) -> Tensor:
    """log sum exp over the last axis; several times faster on a CPU than torch's own for
    large vocabularies."""
    top = logits.amax(-1, keepdim=True)
    return (logits - top).exp_().sum(-1).log_().add_(top[..., 0])


def top_k(logits: Tensor, k: int) -> TopK:
    """The k largest of each row of logits (n, V). The tail is summed from its own logits, not as 1
    minus the rest, so that a tail of 1e-12 is still that and not rounding."""
    k = min(k, logits.shape[-1])
    values, ids = logits.topk(k, dim=-1)
    top = values[:, :1]
    head_mass = (values - top).exp_().sum(-1)  # (n,), relative to exp(top)
    # one copy of the logits: memory for a second one costs more than its numbers
    tail_mass = (
        (logits - top).exp_().scatter_(-1, ids, 0.0).sum(-1)
        if k < logits.shape[-1]
        else torch.zeros_like(head_mass)
    )
    relative = (head_mass + tail_mass).log_()
    return TopK(
        ids.int(),
        values - top - relative[:, None],
        tail_mass.log_() - relative,
        relative + top[:, 0],
    )


def log_masses(logits: Tensor, ids: Tensor, logz: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The log-probabilities (n, k) of tokens ids (n, k) under softmax(logits (n, V)), and the log
    of the mass outside them (n,), again summed from its own logits."""
    index = ids.long().to(logits.device)
    if logz is None:
        logz = logsumexp(logits)
    inside = logits.gather(-1, index) - logz[:, None]
    if index.shape[-1] == logits.shape[-1]:
        return inside, torch.full_like(logz, -torch.inf)
    rest = logits.scatter(-1, index, -torch.inf)
    top = rest.amax(-1, keepdim=True)
    outside = rest.sub_(top).exp_().sum(-1).log_().add_(top[:, 0])
    return inside, outside - logz


def kl_lumped(logprobs: Tensor, tail: Tensor, others: Tensor, others_tail: Tensor) -> Tensor:
    """KL(p || q) in nats per token (n,), all tokens outside p's top k as one class.

    logprobs (n, k) and tail (n,): p's top k and the log of its remaining mass. others (n, k) and
    others_tail (n,): log q of the same tokens and of the rest. A lower bound of the full KL (data
    processing), exact where p's and q's tails have the same shape. A p of zero (-inf) adds nothing,
    so that for a one-hot p this is the token's negative log-likelihood under q. Computed in
    float64.
    """
    p, q, rest = logprobs.double(), others.double(), tail.double()
    return _terms(p, q).sum(-1) + _terms(rest, others_tail.double())


def _terms(p: Tensor, q: Tensor) -> Tensor:
    mass = p.exp()
    return torch.where(mass > 0, mass * (p - q), torch.zeros_like(mass))
