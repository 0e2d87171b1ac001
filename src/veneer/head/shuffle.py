"""The head-capacity control: the same targets with hidden states shuffled within a response position (contract.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch

from veneer.capture.artefact import Capture
from veneer.capture.batch import HEAD_TOKENS
from veneer.capture.topk import log_masses
from veneer.head.split import Split
from veneer.head.tokens import Block


def shuffle_within_positions(capture: Capture, split: Split, seed: int) -> Callable[[Block], Block]:
    """A change of blocks that permutes the hidden states among the tokens of the same response position.

    What a veneer fitted to that recovers is knowledge of the position, not of the surface. The permutation stays within a block
    (one shard's tokens of one part of the split), so memory stays flat; a position that only one token of a block has keeps its own
    state. Base's own columns move along: they belong to the hidden state.
    """
    moved = ("hidden", "base_ids", "base_logprobs", "base_logz")

    def change(block: Block) -> Block:
        position = block["position"]
        key = hashlib.sha256(f"{seed}\0{len(position)}\0{int(position.sum())}".encode()).digest()
        draw = torch.Generator().manual_seed(int.from_bytes(key[:7], "big"))
        order = torch.arange(len(position))
        for p in position.unique().tolist():
            (at,) = torch.nonzero(position == p, as_tuple=True)
            order[at] = at[torch.randperm(len(at), generator=draw)]
        out = {**block, **{c: block[c][order] for c in moved}}
        # base's view of the aligned model's top k must be that of the state which now stands there
        seen = [
            log_masses(capture.head.logits(h.float()), ids, logz.float())
            for h, ids, logz in zip(*(out[c].split(HEAD_TOKENS) for c in ("hidden", "aligned_ids", "base_logz")), strict=True)
        ]
        out["base_at_aligned"], out["base_outside"] = (torch.cat(column) for column in zip(*seen, strict=True))
        return out

    return change
