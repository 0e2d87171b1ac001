"""The noise floor: the aligned model against itself, its log-probabilities while generating and while reading alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from veneer.capture.kl import kl_lumped
from veneer.capture.teacher import response_hidden
from veneer.capture.topk import log_masses
from veneer.models.pair import Pair

LIMIT = {"float32": 1e-4, "bfloat16": 0.05, "float16": 0.02}  # nats a token; beyond it generation and reading disagree


@torch.inference_mode()
def self_kl(pair: Pair, aligned_ids: Sequence[list[int]], shard_rows: Sequence[dict[str, torch.Tensor]]) -> list[dict[str, Any]]:
    """For each prompt: KL in nats, summed over its tokens, between the stored log-probabilities and those of a pass that
    reads prompt and response at batch size 1. shard_rows: the stored columns of each prompt's response."""
    out = []
    for prompt, rows in zip(aligned_ids, shard_rows, strict=True):
        response = pair.vocabulary.ids_to_other(rows["token"].tolist())
        (hidden,) = response_hidden(pair.aligned, [prompt], [response])
        logits = pair.vocabulary.from_other(pair.aligned.head.logits(hidden))
        again, outside = log_masses(logits, rows["aligned_ids"])
        kl = kl_lumped(rows["aligned_logprobs"], rows["aligned_tail"], again.cpu(), outside.cpu())
        worst = (rows["aligned_logprobs"][:, 0] - again[:, 0].cpu()).abs().max()
        agree = int((logits.argmax(-1).cpu() == rows["aligned_ids"][:, 0]).sum())
        out.append(
            {
                "prompt": int(rows["prompt"][0]),
                "tokens": len(response),
                "kl": float(kl.sum()),
                "top1": agree,
                "worst": float(worst),
            }
        )
    return out
