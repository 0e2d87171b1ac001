"""The noise floor: the teacher against itself, its log-probabilities while generating and
while reading alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from veneer.capture.distributions import kl_lumped, log_masses
from veneer.capture.teachers.teacher import Rereading
from veneer.prompts.prompt import Prompt

# nats per token; beyond it generation and reading disagree
LIMIT = {"float32": 1e-4, "bfloat16": 0.05, "float16": 0.02}


@torch.inference_mode()
def self_kl(
    teacher: Rereading, prompts: Sequence[Prompt], shard_rows: Sequence[dict[str, torch.Tensor]]
) -> list[dict[str, Any]]:
    """For each prompt: KL in nats, summed over its tokens, between the stored log-probabilities and
    those of a pass that reads prompt and response at batch size 1. shard_rows: the stored columns
    of each prompt's response."""
    out = []
    for prompt, rows in zip(prompts, shard_rows, strict=True):
        logits = teacher.read(prompt, rows["token"].tolist())
        again, outside = log_masses(logits, rows["aligned_ids"])
        kl = kl_lumped(rows["aligned_logprobs"], rows["aligned_tail"], again.cpu(), outside.cpu())
        worst = (rows["aligned_logprobs"][:, 0] - again[:, 0].cpu()).abs().max()
        agree = int((logits.argmax(-1).cpu() == rows["aligned_ids"][:, 0]).sum())
        out.append(
            {
                "prompt": int(rows["prompt"][0]),
                "tokens": len(logits),
                "kl": float(kl.sum()),
                "top1": agree,
                "worst": float(worst),
            }
        )
    return out
