"""The packed weights of a model (packed.py), used by its decoding steps and by nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import Tensor, nn

from veneer.foundation.memory import memory_size
from veneer.models.head import Head
from veneer.models.packed import Packed, may_fit

SHARE = 0.25  # of the memory; a larger model has no room for the same weights in another order
SAMPLE = 1024  # values of a matrix by which a change is recognised
SMALLEST = 1 << 18  # weights; a smaller matrix is multiplied as fast as it is


class StepWeights:
    """The packed weights of a model: made when its first step needs them, and made anew where the
    weights have changed since. A model that fills much of the memory has none."""

    def __init__(self, backbone: Any, head: Head):
        layers = [m for m in backbone.modules() if type(m) is nn.Linear and _is_worth(m.weight)]
        weights = [m.weight for m in layers] + [head.weight] * _is_worth(head.weight)
        self._has_room = sum(4 * w.numel() for w in weights) <= SHARE * (memory_size() or 0)
        self._layers = layers if self._has_room else []
        self._forwards: dict[nn.Linear, Callable[[Tensor], Tensor]] = {}
        self._heads: WeakKeyDictionary[Head, Head] = WeakKeyDictionary()
        self._seen: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        self._checked = False
        self._checked_heads: WeakSet[Head] = WeakSet()
        self._lock, self._users = threading.Lock(), 0
        self._here = threading.local()  # whether this thread takes a step

    def check(self) -> None:
        """To be called when a batch begins: before the next step, see whether weights changed."""
        self._checked = False

    def head(self, head: Head) -> Head:
        """A head over this backbone (the model's own, a veneer's), for steps."""
        if not self._has_room or not _is_worth(head.weight):
            return head
        self._renew()
        with self._lock:
            if head not in self._checked_heads:
                if self._has_changed(head, head.weight, head.bias):
                    packed = Packed.of(head.weight, head.bias)
                    self._heads[head] = replace(head, packed=packed)
                    self._remember(head, head.weight, head.bias)
                self._checked_heads.add(head)
            return self._heads[head]

    @contextmanager
    def step(self) -> Iterator[None]:
        """Layers called by this thread in the meantime use their packed weights. They are the
        model's own modules, which nothing else sees changed."""
        self._renew()
        with self._lock:
            self._users += 1
            if self._users == 1:
                for layer, forward in self._forwards.items():
                    vars(layer).setdefault("forward", forward)
        self._here.steps = True
        try:
            yield
        finally:
            self._here.steps = False
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    for layer, forward in self._forwards.items():
                        self._put_back(layer, forward)

    def _renew(self) -> None:
        if self._checked:
            return
        with self._lock:
            changed = [m for m in self._layers if self._has_changed(m, m.weight, m.bias)]
            # packing leaves Python's lock alone, so that threads share it
            with ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool:
                packed = list(pool.map(lambda m: Packed.of(m.weight, m.bias), changed))
            for layer, weights in zip(changed, packed, strict=True):
                self._put_back(layer, self._forwards.pop(layer, None))
                if weights is not None:
                    self._forwards[layer] = self._forward(layer, weights)
                self._remember(layer, layer.weight, layer.bias)
            self._checked_heads.clear()
            self._checked = True

    def _put_back(self, layer: nn.Linear, forward: Any) -> None:
        if forward is not None and vars(layer).get("forward") is forward:
            del vars(layer)["forward"]

    def _has_changed(self, owner: Any, weight: Tensor, bias: Tensor | None) -> bool:
        before = self._seen.get(owner)
        return before is None or not all(map(_same, before, _states(weight, bias)))

    def _remember(self, owner: Any, weight: Tensor, bias: Tensor | None) -> None:
        """To be called once they are packed: where memory runs out meanwhile, they are tried
        again."""
        self._seen[owner] = _states(weight, bias)

    def _forward(self, layer: nn.Linear, weights: Packed) -> Callable[[Tensor], Tensor]:
        here, plain = self._here, partial(nn.Linear.forward, layer)

        def forward(input: Tensor) -> Tensor:
            steps = getattr(here, "steps", False) and weights.takes(input)
            return weights.product(input) if steps else plain(input)

        return forward


def _is_worth(weight: Tensor) -> bool:
    """Whether a packed product can be faster than the plain one."""
    return may_fit(weight) and weight.numel() >= SMALLEST


def _states(weight: Tensor, bias: Tensor | None) -> list[tuple[int, int, Tensor]]:
    return [_state(t) for t in (weight, bias) if t is not None]


def _state(tensor: Tensor) -> tuple[int, int, Tensor]:
    """What shows that a tensor has changed: its place, the count of changes that torch keeps, and
    some values (writing through `.data` is not counted)."""
    counted = 0 if tensor.is_inference() else tensor._version
    flat = tensor.detach().reshape(-1)
    return tensor.data_ptr(), counted, flat[:: max(1, len(flat) // SAMPLE)].clone()


def _same(one: tuple[int, int, Tensor], other: tuple[int, int, Tensor]) -> bool:
    return one[:2] == other[:2] and torch.equal(one[2], other[2])
