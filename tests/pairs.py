"""Tiny pairs and captures for the tests."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from tiny import tiny
from veneer.capture import Capture, CaptureConfig, capture
from veneer.models.decode import Sampling
from veneer.models.formats import PlainFormat
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt

WORDS = [
    "cat",
    "mat",
    "bread",
    "apples",
    "things",
    "list",
    "help",
    "sorry",
    "sure",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
]


def prompts(n: int = 12, task: str = "prompts") -> list[Prompt]:
    """n different short prompts of different lengths."""
    return [
        Prompt.from_text(
            f"p{i}",
            "How do I " + " ".join(WORDS[(i * k) % 16] for k in range(1, 2 + i % 5)),
            task=task,
        )
        for i in range(n)
    ]


def plain_pair(kind: str = "llama", *, change: float = 0.0, seed: int = 0, **more) -> Pair:
    """Base and aligned := base with a random change of its (untied) head, both in
    the plain format."""
    base, aligned = tiny(kind, seed=seed, **more), tiny(kind, seed=seed, **more)
    if change:
        draw = torch.Generator().manual_seed(99)
        with torch.no_grad():
            weight = aligned.model.get_output_embeddings().weight
            weight.add_(change * torch.randn(weight.shape, generator=draw))
    return Pair(base, aligned, PlainFormat(), PlainFormat())


def chat_pair(kind: str = "llama", **more) -> Pair:
    """Two models with different weights; base reads plain text, aligned its chat template."""
    return Pair(tiny(kind, seed=0, **more), tiny(kind, seed=1, **more))


def small_capture(folder: Path, pair: Pair | None = None, n: int = 12, **words) -> Capture:
    words = {
        "k": 16,
        "batch_size": 4,
        "shard_batches": 1,
        "noise_prompts": 3,
        "sampling": Sampling(max_new_tokens=10),
        **words,
    }
    return capture(pair or chat_pair(), prompts(n), folder, CaptureConfig(**words))


def capture_files(folder: Path) -> dict[str, str]:
    """Hashes of everything but what may differ (contract.md)."""
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
        and "manifest" not in p.name
        and not p.name.startswith(".lock")
        and p.suffix != ".log"
    }
