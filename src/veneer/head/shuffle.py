"""The head-capacity control: the same targets with hidden states shuffled within a response position (contract.md)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from veneer.capture.artefact import Capture
from veneer.capture.topk import log_masses
from veneer.head.tokens import COLUMNS, Block


def shuffled_blocks(capture: Capture, prompts: Sequence[int], seed: int) -> Callable[[], Iterator[Block]]:
    """Blocks (see tokens.py) whose hidden states are permuted among all tokens of the same response position, over every prompt and
    task given.

    What a veneer fitted to that recovers is knowledge of the position, not of the text (nor of the task: a permutation within a task
    would leave that known). The permuted states stand in a temporary file, so memory stays flat.
    """
    position = np.concatenate([b["position"].numpy() for b in capture.blocks(("position",), prompts)])
    source = position_permutation(position, seed)  # token i gets the state of token source[i]
    place = np.empty_like(source)
    place[source] = np.arange(len(source))
    folder = tempfile.TemporaryDirectory(prefix="veneer-shuffle-")
    states = np.memmap(Path(folder.name) / "hidden", np.float32, "w+", shape=(len(source), capture.head.width))
    logz = np.empty(len(source), np.float32)
    at = 0
    for block in capture.blocks(("hidden", "base_logz"), prompts):
        n = len(block["hidden"])
        states[place[at : at + n]] = block["hidden"].float().numpy()
        logz[place[at : at + n]] = block["base_logz"].numpy()
        at += n

    def blocks() -> Iterator[Block]:
        at = 0
        for block in capture.blocks(COLUMNS, prompts):
            cut = slice(at, at + len(block["position"]))
            at = cut.stop
            hidden, own = torch.from_numpy(np.array(states[cut])), torch.from_numpy(logz[cut])
            # base's view of the aligned model's top k is that of the state which now stands there
            parts = zip(*(column.split(capture.head.at_once) for column in (hidden, block["aligned_ids"], own)), strict=True)
            seen = [log_masses(capture.head.logits(h), ids, z) for h, ids, z in parts]
            inside, outside = (torch.cat(column) for column in zip(*seen, strict=True))
            yield {**block, "hidden": hidden, "base_logz": own, "base_at_aligned": inside, "base_outside": outside}

    blocks.folder = folder  # type: ignore[attr-defined]  # the file lives as long as what reads it
    return blocks


def position_permutation(position: np.ndarray, seed: int) -> np.ndarray:
    """A permutation (N,) of 0..N-1 that keeps `position` (N,): position[result] == position."""
    draw = np.random.default_rng(seed)
    out = np.arange(len(position))
    for p in np.unique(position):
        (at,) = np.nonzero(position == p)
        out[at] = draw.permutation(at)
    return out
