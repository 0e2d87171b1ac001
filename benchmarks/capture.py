"""Capture against the published shape of the work: both models in lock-step, one prompt at a time.

    python benchmarks/capture.py [--prompts 96] [--lockstep 8] [--tokens 128] [--long 32]
        [--long-lockstep 2] [--out FILE]

Two settings of the real pair (VENEER_PAIR, VENEER_DATA): its own short answers, and answers of
exactly --tokens tokens. The lock-step side, written from its description: for each prompt both
models read their prompts, then step by step the aligned model's most likely token is fed to both
with a cache each, full-vocabulary logits of both and base's hidden state are kept to the end, where
the top 500 are taken. Figures are response tokens a second; the ratio is taken within one run. The
floor is what any method that runs both models over these tokens needs: multiply-adds of all its
tokens divided by this machine's speed in a large product, measured just before and just after
(`speeds`, G multiply-adds a second; a shared machine's changes).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch

from machine import product_speed
from pair_prompts import load_pair, train_prompts
from veneer.capture import CaptureConfig, capture
from veneer.models.decode import Sampling
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt


class Endless(Pair):
    """A pair whose answers never end by themselves."""

    @property
    def stop_ids(self) -> tuple[int, ...]:
        return ()


def prompt_ids(pair: Pair, prompts: list[Prompt]) -> tuple[list[list[int]], list[list[int]]]:
    """What base and the aligned model read of each prompt."""
    return (
        [pair.base_format.encode(pair.base.tokenizer, p) for p in prompts],
        [pair.aligned_format.encode(pair.aligned.tokenizer, p) for p in prompts],
    )


@torch.inference_mode()
def lock_step(pair: Pair, prompts: list[Prompt], most: int) -> tuple[int, float]:
    """Response tokens and seconds of the published shape."""
    started, tokens = time.perf_counter(), 0
    for base_ids, aligned_ids in zip(*prompt_ids(pair, prompts), strict=True):
        caches = [pair.aligned.new_cache(), pair.base.new_cache()]
        new = [torch.tensor([aligned_ids]), torch.tensor([base_ids])]
        lengths = [len(aligned_ids), len(base_ids)]
        kept: list[list[torch.Tensor]] = [[], []]
        hidden_states = []
        for _ in range(most):
            for side, lm in enumerate((pair.aligned, pair.base)):
                hidden = lm.hidden(
                    new[side], torch.ones(1, lengths[side], dtype=torch.long), caches[side]
                )[:, -1]
                kept[side].append(lm.head.logits(hidden))
                if side == 1:
                    hidden_states.append(hidden)
            token = int(kept[0][-1].argmax())
            tokens += 1
            if token in pair.stop_ids:
                break
            new = [torch.tensor([[token]])] * 2
            lengths = [n + 1 for n in lengths]
        torch.cat(kept[0]).topk(500)
        torch.cat(kept[1])
        torch.cat(hidden_states)
    return tokens, time.perf_counter() - started


def ours(pair: Pair, prompts: list[Prompt], most: int) -> tuple[int, float]:
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        config = CaptureConfig(k=64, noise_prompts=4, sampling=Sampling(most))
        taken = capture(pair, prompts, Path(folder) / "capture", config)
        return taken.tokens, time.perf_counter() - started


def floor(pair: Pair, prompts: list[Prompt], tokens: int, speed: float) -> float:
    """Seconds for every token once through each backbone and every response token once
    through each head."""
    base_ids, aligned_ids = prompt_ids(pair, prompts)
    head = pair.base.head.weight.numel()
    backbone = sum(p.numel() for p in pair.base.model.parameters()) - head
    prompt_tokens = sum(map(len, base_ids)) + sum(map(len, aligned_ids))
    return (backbone * (prompt_tokens + 2 * tokens) + head * 2 * tokens) / speed


def compare(name: str, pair: Pair, prompts: list[Prompt], few: list[Prompt], most: int) -> dict:
    ours(pair, few[:2], 4)  # warm up
    speeds = [product_speed()]
    tokens, seconds = ours(pair, prompts, most)
    speeds.append(product_speed())
    slow_tokens, slow_seconds = lock_step(pair, few, most)
    lowest = floor(pair, prompts, tokens, sum(speeds) / 2)
    return {
        "setting": name,
        "prompts": len(prompts),
        "tokens": tokens,
        "tokens_a_second": round(tokens / seconds, 1),
        "lock_step_prompts": len(few),
        "lock_step_tokens_a_second": round(slow_tokens / slow_seconds, 1),
        "ratio": round(tokens / seconds / (slow_tokens / slow_seconds), 2),
        "floor_share": round(lowest / seconds, 2),
        "speeds": [round(s / 1e9, 1) for s in speeds],
        "threads": torch.get_num_threads(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=int, default=96)
    parser.add_argument("--lockstep", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--long", type=int, default=32)
    parser.add_argument("--long-lockstep", type=int, default=2)
    parser.add_argument("--out", type=Path, help="figures as JSON, for benchmarks/performance.py")
    given = parser.parse_args()
    pair = load_pair()
    prompts = train_prompts(given.prompts // 2)
    spread = prompts[:: max(1, len(prompts) // given.lockstep)][: given.lockstep]
    figures = [compare("own answers", pair, prompts, spread, 128)]
    print(json.dumps(figures[0]), flush=True)
    endless = Endless(pair.base, pair.aligned, pair.base_format, pair.aligned_format)
    many = prompts[:: max(1, len(prompts) // given.long)][: given.long]
    figures.append(
        compare(f"{given.tokens} tokens", endless, many, many[: given.long_lockstep], given.tokens)
    )
    print(json.dumps(figures[1]), flush=True)
    if given.out:
        given.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
