"""One batch of a capture: the teacher answers, base reads the answers, and both give their distributions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from veneer.capture.config import HIDDEN_DTYPES, CaptureConfig
from veneer.capture.fill import filled
from veneer.capture.forcing import response_hidden
from veneer.capture.teachers import Teacher
from veneer.capture.topk import TopK, log_masses, top_k
from veneer.errors import VeneerError
from veneer.models.decode import Decoded
from veneer.models.head import Head
from veneer.models.language_model import LanguageModel
from veneer.prompts import Prompt


def shared_head(base: LanguageModel, size: int) -> Head:
    """Base's head over the shared vocabulary: what the capture stores and a veneer is extracted against."""
    head = base.head
    return Head(head.weight[:size], None if head.bias is None else head.bias[:size], head.scale, head.softcap)


def base_columns(head: Head, hidden: Tensor, aligned_ids: Tensor, k: int) -> dict[str, Tensor]:
    """Base's own top k, its log-probability of the aligned model's top k, and its normaliser, for hidden (n, d) as the capture stores
    them. In float32 whatever the model's dtype: the objective and the held-out figures compute their logits so, from the same states
    and weights, and fixed rows are exact only if both agree."""
    names = ("base_ids", "base_logprobs", "base_at_aligned", "base_outside", "base_logz")
    parts: dict[str, list[Tensor]] = {name: [] for name in names}
    for at in range(0, len(hidden), head.at_once):
        some = slice(at, at + head.at_once)
        logits = head.exact_logits(hidden[some])
        own = top_k(logits, k)
        at_aligned, outside = log_masses(logits, aligned_ids[some], own.logz)
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
    """The columns of one batch (see shards.py), tokens in the order of `numbers`, and the responses."""
    decoded, distributions = teacher.answer(prompts, keys, config)
    responses = [list(d.token_ids) for d in decoded]
    hidden = torch.cat(response_hidden(base, base_ids, responses))  # (N, d)
    if not torch.isfinite(hidden).all():
        raise VeneerError(f"{base.name} gives hidden states that are not finite; its weights may be damaged")
    head = shared_head(base, teacher.size)
    stored = hidden.to(HIDDEN_DTYPES[config.hidden_dtype])
    aligned = filled(TopK(*(torch.cat(column) for column in zip(*distributions, strict=True))), head, stored)
    columns = {
        "prompt": torch.tensor([n for n, r in zip(numbers, responses, strict=True) for _ in r], dtype=torch.int32),
        "position": torch.tensor([i + 1 for r in responses for i in range(len(r))], dtype=torch.int32),
        "token": torch.tensor([t for r in responses for t in r], dtype=torch.int32),
        "hidden": stored,
        "aligned_ids": aligned.ids,
        "aligned_logprobs": aligned.logprobs,
        "aligned_tail": aligned.tail,
        **base_columns(head, stored, aligned.ids, config.k),
    }
    return columns, decoded
