"""Extraction on a Ray cluster: this process searches, workers hold the tokens and sum over them.

The search loses nothing where a worker dies: another one reads its share, repeats the call, and
gives the same sums.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from veneer.foundation.errors import VeneerError
from veneer.head.token_sums import changing
from veneer.models.head import Head
from veneer.scale.cluster import DEATHS, Crew, WorkerAnswer, answered, opened
from veneer.scale.share import Share

Sums = dict[str, Any]  # name -> array


class ShareWorker:
    """A worker that holds one share. Each call carries all that it needs, so that a new worker can
    replace an old one at any moment."""

    def __init__(
        self,
        number: int,
        threads: int,
        place: str,
        shards: list[list[int]],
        dtype: str,
        device: str,
        constant: bool,
    ):
        torch.set_num_threads(threads)
        self._words = (place, shards[number], dtype, device, constant)
        self._share: Share | None = None

    def _held(self) -> Share:
        if self._share is None:
            self._share = Share(*self._words)
        return self._share

    def used(self, prompts: list[int], threshold: float) -> WorkerAnswer:
        return answered(lambda: {"used": self._held().used(prompts, threshold).int().numpy()})

    def set_up(self, key: int, request: tuple[list[int], Any]) -> WorkerAnswer:
        prompts, rows = request
        return answered(
            lambda: {
                k: v.cpu().numpy()
                for k, v in self._held().set_up(key, prompts, torch.from_numpy(rows.copy())).items()
            }
        )

    def evaluate(
        self,
        key: int,
        request: tuple[list[int], Any],
        change: Any,
        n: int,
        gradient: bool,
        relaxed: bool,
    ) -> WorkerAnswer:
        def add_up() -> Sums:
            share = self._held()
            if not share.has(key):
                share.set_up(key, request[0], torch.from_numpy(request[1].copy()))
            total, slope = share.evaluate(
                key, torch.from_numpy(change.copy()), n, gradient, relaxed
            )
            return {
                "total": total.cpu().numpy(),
                **({} if slope is None else {"slope": slope.cpu().numpy()}),
            }

        return answered(add_up)

    def process(self) -> WorkerAnswer:
        return WorkerAnswer(os.getpid())


class RaySource:
    """A TokenSource (head/token_sources.py) over the workers of a crew. start: makes the crew when
    it is first needed. head: as the workers' LocalSource have it."""

    def __init__(
        self, start: Callable[[], Crew], head: Head, dtype: torch.dtype, device: torch.device
    ):
        self.start, self.head, self.dtype, self.device = start, head, dtype, device
        self._keys = 0

    @cached_property
    def crew(self) -> Crew:
        return self.start()

    def used_rows(self, prompts: Sequence[int], threshold: float) -> Tensor:
        return self.ask("used", list(prompts), threshold)["used"].nonzero()[:, 0].cpu()

    def token_sums(self, prompts: Sequence[int], rows: Tensor) -> RaySums:
        self._keys += 1
        return RaySums(self, self._keys, list(prompts), rows)

    def ask(self, method: str, *arguments: Any) -> dict[str, Tensor]:
        """Call every worker, and add up the results in the order of their numbers.

        A worker that dies is replaced and called again. Raises VeneerError where a share kills
        DEATHS workers, and a worker's own failure.
        """
        actors = self.crew.actors
        coming = [getattr(actor, method).remote(*arguments) for actor in actors]
        sums: dict[str, Tensor] = {}
        for number in range(len(coming)):
            for name, array in self._answer(coming, number, method, arguments).items():
                total = torch.tensor(array, device=self.device)
                sums[name] = sums[name].add_(total) if name in sums else total
        return sums

    def _answer(
        self, coming: list[Any], number: int, method: str, arguments: tuple[Any, ...]
    ) -> Sums:
        for attempt in range(1, DEATHS + 1):
            try:
                return opened(self.crew.ray.get(coming[number]), f"worker {number}")
            except Exception as error:
                if not self.crew.is_death(error):
                    raise
                if attempt == DEATHS:
                    raise VeneerError(
                        f"the share of worker {number} has killed {DEATHS} workers "
                        f"({' '.join(str(error).split())[:200]}); give more --workers, or each "
                        "more memory, and run the same command again"
                    ) from None
                self.crew.replace(number)
                coming[number] = getattr(self.crew.actors[number], method).remote(*arguments)
        raise AssertionError("unreachable")


class RaySums:
    """Tokens that all workers hold together."""

    def __init__(self, source: RaySource, key: int, prompts: list[int], rows: Tensor):
        self.source, self.key = source, key
        self.W = changing(source.head, rows, source.dtype, source.device)
        self.request = source.crew.ray.put((prompts, rows.cpu().numpy()))

    def set_up(self) -> dict[str, Tensor]:
        return self.source.ask("set_up", self.key, self.request)

    def evaluate(
        self, change: Tensor, n: int, *, gradient: bool, relaxed: bool
    ) -> tuple[Tensor, Tensor | None]:
        sent = self.source.crew.ray.put(change.cpu().numpy())
        sums = self.source.ask("evaluate", self.key, self.request, sent, n, gradient, relaxed)
        return sums["total"], sums.get("slope")
