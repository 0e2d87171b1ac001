"""What a teacher does not tell, filled in as the objective would fill it."""

from __future__ import annotations

import torch
from torch import Tensor

from veneer.capture.topk import TopK, logsumexp
from veneer.models.head import Head


def filled(told: TopK, head: Head, hidden: Tensor) -> TopK:
    """`told` (ids (n, k), -1 where nothing is told) with other ids in the empty places, and their share of the tail.

    An endpoint tells fewer than k tokens where some of its tokens are none of base's. Such a place gets base's next most likely token and
    that part of the tail mass which base itself would give it (p_j = tail * b_j / sum of b outside): the very distribution that
    head/problem.py makes of a tail, so neither the targets nor base's KL change. A tail of -inf gives -inf.
    """
    missing = told.ids < 0  # (n, k)
    if not missing.any():
        return told
    ids, logprobs, tail = told.ids.clone(), told.logprobs.clone(), told.tail.clone()
    for at in (missing.any(1).nonzero()[:, 0]).split(head.at_once):
        logits = head.exact_logits(hidden[at.to(hidden.device)]).to(ids.device, logprobs.dtype)
        empty = missing[at]
        others = _without(logits, ids[at], ~empty)  # (m, V), -inf at what is told
        outside = logsumexp(others)
        values, own = others.topk(empty.shape[1], dim=1)
        nth = (empty.cumsum(1) - 1).clamp(min=0)  # the first empty place gets the most likely token
        ids[at] = torch.where(empty, own.gather(1, nth).int(), ids[at])
        logprobs[at] = torch.where(empty, (tail[at] - outside)[:, None] + values.gather(1, nth), logprobs[at])
        tail[at] = tail[at] - outside + logsumexp(_without(others, ids[at], empty))
    return TopK(ids, logprobs, tail, told.logz)


def _without(logits: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """logits (n, V) with -inf at those ids (n, k) where `mask` (n, k) holds."""
    size = logits.shape[1]
    wide = torch.cat([logits, logits[:, :1]], dim=1)  # a column for what is not meant
    return wide.scatter(1, torch.where(mask, ids.long(), size), -torch.inf)[:, :size]
