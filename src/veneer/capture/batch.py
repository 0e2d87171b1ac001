"""One batch of a capture: the teacher answers, base reads the answers, and both give their
distributions. The log-probabilities that a teacher does not give are filled in as the objective
would fill them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from veneer.capture.config import CaptureConfig
from veneer.capture.distributions import TopK, log_masses, logsumexp, top_k
from veneer.capture.teacher_forcing import response_hidden
from veneer.capture.teachers.teacher import Teacher
from veneer.foundation.errors import VeneerError
from veneer.models.decode import Decoded
from veneer.models.device import DTYPES
from veneer.models.head import Head
from veneer.models.language_model import LanguageModel
from veneer.prompts.prompt import Prompt


def base_columns(head: Head, hidden: Tensor, aligned_ids: Tensor, k: int) -> dict[str, Tensor]:
    """Base's own top k, its log-probability of the aligned model's top k, and its normaliser, for
    hidden (n, d) as the capture stores them. In float32 whatever the model's dtype: the objective
    and the held-out figures compute their logits so, from the same states and weights, and fixed
    rows are exact only if both agree."""
    names = ("base_ids", "base_logprobs", "base_at_aligned", "base_outside", "base_logz")
    parts: dict[str, list[Tensor]] = {name: [] for name in names}
    for at in range(0, len(hidden), head.at_once):
        cut = slice(at, at + head.at_once)
        logits = head.exact_logits(hidden[cut])
        own = top_k(logits, k)
        at_aligned, outside = log_masses(logits, aligned_ids[cut], own.logz)
        parts["base_ids"].append(own.ids)
        parts["base_logprobs"].append(own.logprobs)
        parts["base_at_aligned"].append(at_aligned)
        parts["base_outside"].append(outside)
        parts["base_logz"].append(own.logz)
    return {name: torch.cat(columns) for name, columns in parts.items()}


@torch.inference_mode()
def capture_batch(
    base: LanguageModel,
    numbers: Sequence[int],
    base_ids: Sequence[list[int]],
    prompts: Sequence[Prompt],
    keys: Sequence[str],
    config: CaptureConfig,
    teacher: Teacher,
) -> tuple[dict[str, Tensor], list[Decoded]]:
    """The columns of one batch (see shards.py), tokens in the order of `numbers`,
    and the responses."""
    decoded, distributions = teacher.answer(prompts, keys, config)
    responses = [list(d.token_ids) for d in decoded]
    hidden = torch.cat(response_hidden(base, base_ids, responses))  # (N, d)
    if not torch.isfinite(hidden).all():
        raise VeneerError(
            f"{base.name} gives hidden states that are not finite; its weights may be damaged"
        )
    head = base.head.first_rows(teacher.size)
    stored = hidden.to(DTYPES[config.hidden_dtype])
    aligned = filled(
        TopK(*(torch.cat(column) for column in zip(*distributions, strict=True))), head, stored
    )
    columns = {
        "prompt": torch.tensor(
            [n for n, r in zip(numbers, responses, strict=True) for _ in r], dtype=torch.int32
        ),
        "position": torch.tensor(
            [i + 1 for r in responses for i in range(len(r))], dtype=torch.int32
        ),
        "token": torch.tensor([t for r in responses for t in r], dtype=torch.int32),
        "hidden": stored,
        "aligned_ids": aligned.ids,
        "aligned_logprobs": aligned.logprobs,
        "aligned_tail": aligned.tail,
        **base_columns(head, stored, aligned.ids, config.k),
    }
    return columns, decoded


def filled(partial: TopK, head: Head, hidden: Tensor) -> TopK:
    """`partial` with other ids in its empty places (ids (n, k) of -1), and their share of the tail.

    An endpoint gives fewer than k tokens where base lacks one of its tokens. Such a place gets
    base's next most likely token and that part of the tail mass which base itself would give it
    (p_j = tail * b_j / sum of b outside): the very distribution that head/objective.py makes of a
    tail, so neither the targets nor base's KL change. A tail of -inf gives -inf.
    """
    missing = partial.ids < 0  # (n, k)
    if not missing.any():
        return partial
    ids, logprobs, tail = partial.ids.clone(), partial.logprobs.clone(), partial.tail.clone()
    for at in (missing.any(1).nonzero()[:, 0]).split(head.at_once):
        logits = head.exact_logits(hidden[at.to(hidden.device)]).to(ids.device, logprobs.dtype)
        empty = missing[at]
        others = _without(logits, ids[at], ~empty)  # (m, V), -inf at the given ids
        outside = logsumexp(others)
        values, own = others.topk(empty.shape[1], dim=1)
        nth = (empty.cumsum(1) - 1).clamp(min=0)  # the first empty place gets the most likely token
        ids[at] = torch.where(empty, own.gather(1, nth).int(), ids[at])
        logprobs[at] = torch.where(
            empty, (tail[at] - outside)[:, None] + values.gather(1, nth), logprobs[at]
        )
        tail[at] = tail[at] - outside + logsumexp(_without(others, ids[at], empty))
    return TopK(ids, logprobs, tail, partial.logz)


def _without(logits: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """logits (n, V) with -inf at those ids (n, k) where `mask` (n, k) holds."""
    size = logits.shape[1]
    wide = torch.cat([logits, logits[:, :1]], dim=1)  # a column for what is not meant
    return wide.scatter(1, torch.where(mask, ids.long(), size), -torch.inf)[:, :size]
