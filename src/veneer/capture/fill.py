"""What a teacher does not tell, filled in as the objective would fill it."""

from __future__ import annotations

import torch
from torch import Tensor

from veneer.capture.topk import TopK, logsumexp
from veneer.models.head import Head

ROWS = 512  # of logits held at once


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
    lacking = missing.any(1).nonzero()[:, 0]
    for rows in lacking.split(ROWS):
        logits = head.logits(hidden[rows.to(hidden.device)]).to(ids.device)
        known = [i[i >= 0].long() for i in ids[rows]]
        for place, row in enumerate(rows.tolist()):
            logits[place, known[place]] = -torch.inf
            outside = logsumexp(logits[place][None])[0]
            empty = missing[row].nonzero()[:, 0]
            values, own = logits[place].topk(len(empty))
            ids[row, empty] = own.int()
            logprobs[row, empty] = tail[row] + values - outside
            logits[place, own] = -torch.inf
            tail[row] = tail[row] + logsumexp(logits[place][None])[0] - outside
    return TopK(ids, logprobs, tail, told.logz)
