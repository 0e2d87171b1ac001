"""The tokens of an extraction's prompts: which rows of the vocabulary they use, and their hidden
states, true ones or those of a control.

Rows that neither model uses keep base's values. The head-capacity control has the same targets with
hidden states shuffled within a response position."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from veneer.capture.artefact import Capture
from veneer.capture.distributions import log_masses
from veneer.foundation.files import scratch_file
from veneer.head.constant import wider, with_ones
from veneer.head.token_blocks import COLUMNS, Block, Tokens
from veneer.head.token_sums import LocalSums, TokenSums


def used_rows(tokens: Tokens, vocabulary: int, threshold: float) -> Tensor:
    """Ids (R,), ascending, of the tokens to which either model gives a probability above
    `threshold` at some position.

    threshold 0: all rows. A fixed row's part of the normaliser is a constant at each position
    (see objective.py).
    """
    if threshold <= 0:
        return torch.arange(vocabulary)
    used = torch.zeros(vocabulary, dtype=torch.bool)
    limit = math.log(threshold)
    for block in tokens:
        for side in ("aligned", "base"):
            used[block[f"{side}_ids"][block[f"{side}_logprobs"] > limit].long().cpu()] = True
    return used.nonzero()[:, 0]


def shuffled_blocks(
    capture: Capture, prompts: Sequence[int], seed: int
) -> Callable[[], Iterator[Block]]:
    """Blocks (see token_blocks.py) whose hidden states are permuted among all tokens of the same
    response position, over every prompt and task given.

    What a veneer fitted to that recovers comes from the position, not from the text (nor from the
    task, which a permutation within a task would leave). The permuted states lie in a temporary
    file, so memory stays flat.
    """
    position = np.concatenate(
        [b["position"].numpy() for b in capture.blocks(("position",), prompts)]
    )
    source = position_permutation(position, seed)  # token i gets the state of token source[i]
    place = np.empty_like(source)
    place[source] = np.arange(len(source))
    shape = (len(source), capture.head.width)
    with scratch_file(4 * math.prod(shape)) as file:
        states: np.memmap = np.memmap(file, np.float32, "r+", shape=shape)
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
            parts = zip(
                *(
                    column.split(capture.head.at_once)
                    for column in (hidden, block["aligned_ids"], own)
                ),
                strict=True,
            )
            seen = [log_masses(capture.head.logits(h), ids, z) for h, ids, z in parts]
            inside, outside = (torch.cat(column) for column in zip(*seen, strict=True))
            yield {
                **block,
                "hidden": hidden,
                "base_logz": own,
                "base_at_aligned": inside,
                "base_outside": outside,
            }

    return blocks


def position_permutation(position: np.ndarray, seed: int) -> np.ndarray:
    """A permutation (N,) of 0..N-1 that keeps `position` (N,): position[result] == position."""
    draw = np.random.default_rng(seed)
    out = np.arange(len(position))
    for p in np.unique(position):
        (at,) = np.nonzero(position == p)
        out[at] = draw.permutation(at)
    return out


class TokenSource(Protocol):
    """Who holds the tokens of a capture: this process (LocalSource), or workers (veneer.scale)."""

    def used_rows(self, prompts: Sequence[int], threshold: float) -> Tensor:
        """See `used_rows`."""

    def token_sums(self, prompts: Sequence[int], rows: Tensor) -> TokenSums:
        """The sums over the tokens of `prompts`, of which `rows` change."""


class LocalSource:
    """Tokens that are read here.

    shuffle_seed: of the head-capacity control (shuffled_blocks), None for true hidden states.
    constant: hidden states with a feature that is always 1 (constant.py).
    """

    def __init__(
        self,
        capture: Capture,
        dtype: torch.dtype,
        device: torch.device,
        shuffle_seed: int | None,
        constant: bool,
    ):
        self.capture, self.dtype, self.device = capture, dtype, device
        self.shuffle_seed, self.constant = shuffle_seed, constant
        self.head = wider(capture.head) if constant else capture.head
        self._tokens: dict[tuple[int, ...], Tokens] = {}

    def tokens(self, prompts: Sequence[int]) -> Tokens:
        """The same object for the same prompts, so that what it keeps in memory serves again."""
        key = tuple(prompts)
        if key not in self._tokens:
            self._tokens[key] = self._read(key)
        return self._tokens[key]

    def used_rows(self, prompts: Sequence[int], threshold: float) -> Tensor:
        return used_rows(self.tokens(prompts), self.head.rows, threshold)

    def token_sums(self, prompts: Sequence[int], rows: Tensor) -> LocalSums:
        return LocalSums(self.tokens(prompts), self.head, rows)

    def _read(self, prompts: Sequence[int]) -> Tokens:
        if self.shuffle_seed is None and not self.constant:
            return Tokens.of_capture(self.capture, prompts, self.dtype, self.device)
        blocks = (
            partial(self.capture.blocks, COLUMNS, prompts)
            if self.shuffle_seed is None
            else shuffled_blocks(self.capture, prompts, self.shuffle_seed)
        )
        return Tokens(
            (lambda: with_ones(blocks())) if self.constant else blocks, self.dtype, self.device
        )
