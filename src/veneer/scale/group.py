"""Extraction under torchrun: the first process searches, all of them add up over their shards with
torch.distributed.

The search lives in the first process alone, so a difference in rounding between machines cannot
make two processes decide differently. An evaluation is one broadcast of dW and one reduction of the
gradient, both (R, d): the bytes of one all-reduce.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from veneer.foundation.errors import InputError, VeneerError
from veneer.head.token_sums import changing
from veneer.scale.share import Share

# for a process that reads its shards, or the first one that measures; a dead one is noticed at once
WAIT = datetime.timedelta(hours=6)


def started_by_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ


class ProcessGroup:
    """The processes that torchrun started. Collectives run where the backend has them: nccl on
    GPUs, gloo on CPUs.

    Raises VeneerError where another process is gone.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self.first, self.size, self.rank = (
            dist.get_rank() == 0,
            dist.get_world_size(),
            dist.get_rank(),
        )

    def sum_at_first(self, tensor: Tensor) -> Tensor:
        """Return the sum over all processes, at the first one; elsewhere the tensor's values are
        meaningless afterwards. The order of a sum depends on the number of processes alone."""
        with loss_as_sentence():
            dist.reduce(tensor, dst=0)
        return tensor

    def broadcast(self, tensor: Tensor) -> Tensor:
        with loss_as_sentence():
            dist.broadcast(tensor, src=0)
        return tensor

    def send_order(self, order: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the first process's order, at all of them. It travels as JSON, so that nothing is
        unpickled."""
        data = json.dumps(order).encode() if self.first else b""
        size = self.broadcast(torch.tensor([len(data)], device=self.device))
        body = (
            torch.tensor(list(data), dtype=torch.uint8, device=self.device) if self.first else None
        )
        body = self.broadcast(
            torch.empty(int(size), dtype=torch.uint8, device=self.device) if body is None else body
        )
        return json.loads(bytes(body.tolist()))

    def agree(self, failure: InputError | None) -> None:
        """Raise at every process the failure of the lowest one that has one."""
        data = str(failure).encode()[:2000] if failure else b""
        mine = torch.zeros(2001, dtype=torch.uint8, device=self.device)
        mine[: len(data)] = torch.tensor(list(data), dtype=torch.uint8, device=self.device)
        mine[-1] = failure is not None
        everyone = [torch.empty_like(mine) for _ in range(self.size)]
        with loss_as_sentence():
            dist.all_gather(everyone, mine)
        for rank, message in enumerate(everyone):
            if message[-1]:
                text = bytes(message[:-1].tolist()).rstrip(b"\0").decode(errors="replace")
                raise InputError(f"process {rank}: {text}" if self.size > 1 else text)


@contextlib.contextmanager
def loss_as_sentence() -> Iterator[None]:
    """Raise the loss of another process as one sentence."""
    try:
        yield
    except RuntimeError as error:
        raise VeneerError(
            f"another process of this extraction is gone ({' '.join(str(error).split())[:120]}); "
            "its own message says why: run the same command again, or start torchrun with "
            "--max-restarts"
        ) from error


_joined = itertools.count()


@functools.cache
def _meeting() -> tuple[Any, int, int]:
    """Return the store where the processes meet, the rank of this one, and their number."""
    return next(rendezvous("env://"))


@contextlib.contextmanager
def group(device: str) -> Iterator[ProcessGroup]:
    """Join the processes that torchrun started, and leave them at the end."""
    local = int(os.environ.get("LOCAL_RANK", 0))
    cuda = device in ("auto", "cuda") and torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(local)
    with loss_as_sentence():
        store, rank, size = _meeting()
        # a second group must not find the addresses of the first
        fresh = dist.PrefixStore(f"veneer/{next(_joined)}", store)
        dist.init_process_group(
            "nccl" if cuda else "gloo", store=fresh, rank=rank, world_size=size, timeout=WAIT
        )
    try:
        yield ProcessGroup(torch.device("cuda", local) if cuda else torch.device("cpu"))
    finally:
        dist.destroy_process_group()


class GroupSource:
    """A TokenSource (head/token_sources.py) over all processes, at the first one. The others
    `follow`."""

    def __init__(self, group: ProcessGroup, share: Share):
        self.group, self.share, self._keys = group, share, 0

    def used_rows(self, prompts: Sequence[int], threshold: float) -> Tensor:
        self.group.send_order({"do": "used", "prompts": list(prompts), "threshold": threshold})
        return _used(self.group, self.share, prompts, threshold).nonzero()[:, 0].cpu()

    def token_sums(self, prompts: Sequence[int], rows: Tensor) -> GroupSums:
        self._keys += 1
        return GroupSums(self.group, self.share, self._keys, prompts, rows)

    def end(self) -> None:
        self.group.send_order({"do": "end"})


class GroupSums:
    """Tokens that all processes hold together."""

    def __init__(
        self, group: ProcessGroup, share: Share, key: int, prompts: Sequence[int], rows: Tensor
    ):
        self.group, self.share, self.key, self.prompts, self.rows = (
            group,
            share,
            key,
            list(prompts),
            rows,
        )
        source = share.source
        self.W = changing(source.head, rows, source.dtype, source.device)

    def set_up(self) -> dict[str, Tensor]:
        self.group.send_order(
            {"do": "set up", "key": self.key, "prompts": self.prompts, "rows": len(self.rows)}
        )
        self.group.broadcast(self.rows.to(self.group.device))
        return _set_up(self.group, self.share, self.key, self.prompts, self.rows)

    def evaluate(
        self, change: Tensor, n: int, *, gradient: bool, relaxed: bool
    ) -> tuple[Tensor, Tensor | None]:
        self.group.send_order(
            {"do": "evaluate", "key": self.key, "n": n, "gradient": gradient, "relaxed": relaxed}
        )
        self.group.broadcast(change.contiguous())
        return _evaluate(self.group, self.share, self.key, change, n, gradient, relaxed)


def follow(group: ProcessGroup, share: Share) -> None:
    """Carry out the first process's orders until it sends the end."""
    shapes: dict[int, tuple[int, int]] = {}
    while (order := group.send_order())["do"] != "end":
        match order:
            case {"do": "used", "prompts": prompts, "threshold": threshold}:
                _used(group, share, prompts, threshold)
            case {"do": "set up", "key": key, "prompts": prompts, "rows": count}:
                rows = group.broadcast(torch.empty(count, dtype=torch.long, device=group.device))
                shapes[key] = (count, share.source.head.width)
                _set_up(group, share, key, prompts, rows.cpu())
            case {"do": "evaluate", "key": key, "n": n, "gradient": gradient, "relaxed": relaxed}:
                change = group.broadcast(
                    torch.empty(shapes[key], dtype=share.source.dtype, device=group.device)
                )
                _evaluate(group, share, key, change, n, gradient, relaxed)


def _used(group: ProcessGroup, share: Share, prompts: Sequence[int], threshold: float) -> Tensor:
    return group.sum_at_first(share.used(prompts, threshold).to(group.device, torch.int32))


def _set_up(
    group: ProcessGroup, share: Share, key: int, prompts: Sequence[int], rows: Tensor
) -> dict[str, Tensor]:
    return {name: group.sum_at_first(t) for name, t in share.set_up(key, prompts, rows).items()}


def _evaluate(
    group: ProcessGroup,
    share: Share,
    key: int,
    change: Tensor,
    n: int,
    gradient: bool,
    relaxed: bool,
) -> tuple[Tensor, Tensor | None]:
    total, slope = share.evaluate(key, change, n, gradient, relaxed)
    return group.sum_at_first(total), None if slope is None else group.sum_at_first(slope)
