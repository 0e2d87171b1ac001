"""A worker's share of a capture: the tokens of its shards, and the sums over them that an
extraction needs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from veneer.capture.shards import shard_path
from veneer.foundation.files import read_json
from veneer.head.token_sources import LocalSource
from veneer.head.token_sums import LocalSums
from veneer.models.device import resolve_device
from veneer.scale.remote import marked_shards, open_part


def shares(place: str, workers: int) -> list[list[int]]:
    """Return the shards of each of `workers` workers, nearly equal in tokens: the largest first,
    each to the worker with the fewest tokens."""
    folder, shards = marked_shards(place)
    sizes = {
        n: int(
            read_json(shard_path(folder, n).with_suffix(".json"), "the marker of a shard")["tokens"]
        )
        for n in shards
    }
    out: list[list[int]] = [[] for _ in range(workers)]
    load = [0] * workers
    for shard in sorted(sizes, key=lambda n: (-sizes[n], n)):
        least = load.index(min(load))
        out[least].append(shard)
        load[least] += sizes[shard]
    return [sorted(own) for own in out]


class Share:
    """The tokens of `shards` of the capture at `place`, as LocalSource reads them.
    constant: see LocalSource."""

    def __init__(self, place: str, shards: Sequence[int], dtype: str, device: str, constant: bool):
        self.source = LocalSource(
            open_part(place, shards), getattr(torch, dtype), resolve_device(device), None, constant
        )
        self._open: dict[int, LocalSums] = {}

    def used(self, prompts: Sequence[int], threshold: float) -> Tensor:
        """(V,) bool: the rows that are used here (see head/token_sources.py)."""
        mask = torch.zeros(self.source.head.rows, dtype=torch.bool)
        mask[self.source.used_rows(prompts, threshold)] = True
        return mask

    def set_up(self, key: int, prompts: Sequence[int], rows: Tensor) -> dict[str, Tensor]:
        """See head/token_sums.py. key: the problem's, for evaluate."""
        self._open[key] = self.source.token_sums(prompts, rows)
        return self._open[key].set_up()

    def has(self, key: int) -> bool:
        return key in self._open

    def evaluate(
        self, key: int, change: Tensor, n: int, gradient: bool, relaxed: bool
    ) -> tuple[Tensor, Tensor | None]:
        return self._open[key].evaluate(
            change.to(self.source.device), n, gradient=gradient, relaxed=relaxed
        )
