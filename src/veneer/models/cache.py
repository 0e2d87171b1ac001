"""The cache of a model's keys and values, with room for the tokens to come.

transformers' `DynamicCache` copies all keys and values at each new token. Here a step is written
behind them, into room that is made once for `ROOM` tokens.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

ROOM = 64  # tokens


def new_cache(config: Any) -> Any:
    """An empty cache of keys and values, or recurrent states. Layers that see the whole text get
    room; those of a sliding window and recurrent ones stay as transformers makes them."""
    cache = DynamicCache(config=config)
    cache.layers = [RoomyLayer() if type(x) is DynamicLayer else x for x in cache.layers]
    return cache


def copied(cache: Any) -> Any:
    """A cache of its own with the same content. A tensor's own deep copy does not work on every
    device, so tensors are cloned."""
    held = [x for layer in cache.layers for x in vars(layer).values() if isinstance(x, Tensor)]
    return copy.deepcopy(cache, {id(x): x.clone() for x in held})


class RoomyLayer(DynamicLayer):
    """Keys and values (B, H, T, D) of one layer, each the beginning of a longer tensor once a
    single token was added. What else changes them (rows that leave, a cut end) makes new ones."""

    keys: Any
    values: Any
    _key_room: Tensor | None = None
    _value_room: Tensor | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """The keys and values with those of the new tokens behind them."""
        if key_states.shape[-2] != 1 or self.get_seq_length() == 0:
            return super().update(key_states, value_states, *args, **kwargs)
        self.keys, self._key_room = _extended(self.keys, key_states, self._key_room)
        self.values, self._value_room = _extended(self.values, value_states, self._value_room)
        return self.keys, self.values


def _extended(old: Tensor, new: Tensor, room: Tensor | None) -> tuple[Tensor, Tensor]:
    """`old` (..., T, D) with `new` (..., 1, D) behind it, and the tensor that holds both."""
    length = old.shape[-2]
    if room is None or old.data_ptr() != room.data_ptr() or not _fits(old, new, room):
        shape = (*old.shape[:-2], length + ROOM, old.shape[-1])
        room = torch.empty(shape, dtype=old.dtype, device=old.device)
        room.narrow(-2, 0, length).copy_(old)
    room.narrow(-2, length, 1).copy_(new)
    return room.narrow(-2, 0, length + 1), room


def _fits(old: Tensor, new: Tensor, room: Tensor) -> bool:
    return old.shape[:-2] == room.shape[:-2] and old.shape[-2] + new.shape[-2] <= room.shape[-2]
