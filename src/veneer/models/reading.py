"""How a model is called: which arguments its forward takes, by trial.

Names of arguments change between releases of transformers (`past_key_values` became `cache` in
5.24), and a forward that takes any keyword says nothing of what it does with it. So each argument
is tried on a few random tokens: positions count when other positions change the states, and a cache
counts when a step that uses it gives the states of the whole text.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from veneer.models.backbone import distance
from veneer.models.cache import new_cache

CACHE_WORDS = ("past_key_values", "cache", "cache_params")
LARGEST_OFFSET = 3  # RoBERTa counts positions from its padding id + 1
FLOOR = {torch.float16: 3e-3, torch.bfloat16: 2e-2}  # relative; differences below count as rounding
FLOOR_ELSE = 1e-5
NOISE = 10.0  # times the difference that batches of other shapes make by themselves


@dataclass(frozen=True)
class Words:
    """positions: what is added to 0, 1, 2, ... for `position_ids`; None: they are not passed.
    cache: the argument that takes a cache. step_mask: whether the mask of all tokens is passed with
    a cache (a recurrent model has the past in its state)."""

    positions: int | None = None
    cache: str | None = None
    step_mask: bool = True


def read(backbone: Any, words: Words, ids: Tensor, mask: Tensor, cache: Any = None) -> Tensor:
    """Final hidden states (B, T, d) of ids (B, T); mask (B, S) with 1 at real
    tokens, S = cached + T."""
    given: dict[str, Any] = {
        "input_ids": ids,
        "attention_mask": mask,
        "use_cache": cache is not None,
    }
    if cache is not None:
        given[words.cache or CACHE_WORDS[0]] = cache
    if words.positions is not None:
        given["position_ids"] = ((mask.cumsum(-1) - 1).clamp(min=0) + words.positions)[
            :, -ids.shape[1] :
        ]
    if bool(mask.all()) or (not words.step_mask and mask.shape[1] != ids.shape[1]):
        given["attention_mask"] = None  # nothing is padded: the kernels without a mask are faster
    return backbone(**given).last_hidden_state


class Probe:
    """A few random tokens and their true states, each row read without padding and without a cache.
    `causal`: whether these are the same when the text ends earlier."""

    def __init__(
        self,
        backbone: Any,
        config: Any,
        vocabulary: int,
        pad: int,
        device: Any,
        *,
        rows: int = 3,
        length: int = 12,
    ):
        self.backbone, self.config = backbone, config
        self.pad = pad if 0 <= pad < vocabulary else 0
        draw = torch.Generator().manual_seed(length)
        ids = torch.randint(min(3, vocabulary - 1), vocabulary, (rows, length), generator=draw)
        self.ids = torch.where(ids == self.pad, (ids + 1) % vocabulary, ids).to(device)
        with torch.inference_mode():
            self.states = read(backbone, Words(), self.ids, torch.ones_like(self.ids))
        self.share = 0.5 if self.states.dtype in FLOOR else 1.0
        self.limit = self._limit()

    def _limit(self) -> float:
        """How far states may differ and still be the same: a multiple of what a text that ends
        three tokens earlier changes."""
        end = self.ids.shape[1] - 3
        early, late = self._read(Words(), self.ids[:, :end]), self.states[:, :end]
        noise = max(
            distance(early, late, self.share), distance(early[:, -4:], late[:, -4:], self.share)
        )
        floor = FLOOR.get(self.states.dtype, FLOOR_ELSE)
        self.causal = noise <= NOISE * floor
        return max(floor, min(NOISE * noise, NOISE * floor))

    def steady(self) -> bool:
        """Whether a second reading gives the same states (Reformer hashes by random numbers)."""
        return self._same(self._read(Words(), self.ids), self.states)

    def keeps(self, length: int) -> bool:
        """Whether the first `length` tokens have the same states when the text ends there."""
        return self._same(self._read(Words(), self.ids[:, :length]), self.states[:, :length])

    def words(self) -> Words:
        """Positions and cache as this model takes them; `cache` None where no cached step equals
        an uncached one."""
        words = Words(positions=self._positions())
        for cache in _likely(self.backbone):
            for step_mask in (True, False):
                tried = replace(words, cache=cache, step_mask=step_mask)
                if self.cached(tried):
                    return tried
        return words

    def _positions(self) -> int | None:
        plain = torch.arange(self.ids.shape[1], device=self.ids.device).expand_as(self.ids)
        with attempt():
            if self._same(self._with_positions(2 * plain), self.states):
                return None  # they are ignored
            for offset in range(LARGEST_OFFSET + 1):
                if self._same(self._with_positions(plain + offset), self.states):
                    return offset
        return None

    def _with_positions(self, positions: Tensor) -> Tensor:
        return self.backbone(
            input_ids=self.ids, position_ids=positions, use_cache=False
        ).last_hidden_state

    def cached(self, words: Words) -> bool:
        """Whether rows without padding, all but their end read at once and then three steps, have
        the same states. Rows change places before each step."""
        with attempt():
            first, length = self.ids.shape[1] - 3, self.ids.shape[1]
            cache, ones = new_cache(self.config), torch.ones_like(self.ids)
            self._read(words, self.ids[:, :first], ones[:, :first], cache)
            rows = turned = torch.arange(len(self.ids), device=self.ids.device).flip(0)
            for at in range(first, length):
                cache.reorder_cache(turned)
                step = self._read(words, self.ids[rows, at : at + 1], ones[:, : at + 1], cache)
                if not self._same(step, self.states[rows, at : at + 1]):
                    return False
                rows = rows[turned]
            return True
        return False

    def left(self, words: Words, lengths: Sequence[int], steps: int) -> bool:
        """Whether rows of these lengths, padded on the left, have the states of rows without
        padding, and so have the steps behind them (cached where `words` has a cache)."""
        with attempt():
            ids, mask = self._padded(lengths, left=True)
            cache = new_cache(self.config) if words.cache else None
            rows, at = (
                torch.arange(len(ids), device=ids.device),
                torch.tensor(lengths, device=ids.device) - 1,
            )
            cached, true = [], []
            for step in range(steps + 1):
                new = ids if step == 0 or cache is None else ids[:, -1:]
                cached.append(self._read(words, new, mask, cache)[:, -1])
                true.append(self.states[rows, at + step])
                ids = torch.cat([ids, self.ids[rows, at + step + 1][:, None]], dim=1)
                mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            return self._same(torch.stack(cached, dim=1), torch.stack(true, dim=1))
        return False

    def right(self, words: Words, lengths: Sequence[int]) -> bool:
        """Whether rows of these lengths, padded on the right, have the states of rows
        without padding."""
        with attempt():
            states = self._read(words, *self._padded(lengths, left=False))
            parts = [
                (i, slice(start, n)) for i, n in enumerate(lengths) for start in (0, n - 1 - n // 8)
            ]
            return all(
                self._same(states[i : i + 1, part], self.states[i : i + 1, part])
                for i, part in parts
            )
        return False

    def middle(self, words: Words) -> bool:
        """Whether rows that share a beginning may be padded behind it: the beginning read once,
        then the rests padded on the left."""
        with attempt():
            shared, most = 4, self.ids.shape[1] - 4
            rests = [most - 2 * i for i in range(len(self.ids))]
            rows = torch.cat(
                [self.ids[:1, :shared].expand(len(self.ids), -1), self.ids[:, shared:]], dim=1
            )
            true, cache = self._read(words, rows), new_cache(self.config)
            self._read(words, rows[:1, :shared], None, cache)
            cache.batch_repeat_interleave(len(rows))
            ids, mask = self._padded(rests, left=True, rows=rows[:, shared:])
            states = self._read(
                words, ids, torch.cat([mask.new_ones(len(rows), shared), mask], dim=1), cache
            )
            places = enumerate(rests)
            return all(
                self._same(states[i : i + 1, most - n :], true[i : i + 1, shared : shared + n])
                for i, n in places
            )
        return False

    def _padded(
        self, lengths: Sequence[int], *, left: bool, rows: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """(ids, mask) of the beginnings of the rows, padded to the longest."""
        rows, width = self.ids if rows is None else rows, max(lengths)
        places = torch.arange(width, device=rows.device)
        wanted = torch.tensor(lengths, device=rows.device)[:, None]
        mask = (places >= width - wanted) if left else (places < wanted)
        from_row = (
            (places - (width - wanted)).clamp(min=0) if left else places.expand(len(rows), -1)
        )
        return torch.where(mask, rows.gather(1, from_row), self.pad), mask.long()

    def _read(
        self, words: Words, ids: Tensor, mask: Tensor | None = None, cache: Any = None
    ) -> Tensor:
        with torch.inference_mode():
            return read(
                self.backbone, words, ids, torch.ones_like(ids) if mask is None else mask, cache
            )

    def _same(self, states: Tensor, true: Tensor) -> bool:
        return distance(states, true, self.share) <= self.limit


@contextlib.contextmanager
def attempt() -> Iterator[None]:
    """What does not take an argument raises all kinds of errors; only a lack of memory says nothing
    about the argument."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:
        logging.getLogger("veneer").debug("veneer: an attempt to call a model failed: %s", error)


def _likely(backbone: Any) -> Iterator[str]:
    """The arguments that may take a cache, first those that the signature names (a hint on the
    order, no more)."""
    forward = getattr(getattr(backbone, "model", backbone), "forward", backbone)
    named = [w for w in CACHE_WORDS if w in inspect.signature(forward).parameters]
    yield from dict.fromkeys([*named, *CACHE_WORDS])
