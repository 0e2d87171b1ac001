"""Choose who holds the tokens of an extraction: this process, the processes that torchrun started,
or workers on a Ray cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch

from veneer.foundation.errors import InputError, VeneerError
from veneer.head.config import ExtractConfig
from veneer.head.constant import wider
from veneer.head.token_sources import TokenSource
from veneer.models.device import resolve_device
from veneer.scale.cluster import Crew, RayConfig, cluster, need_ray
from veneer.scale.group import GroupSource, follow, group, started_by_torchrun
from veneer.scale.ray_extract import RaySource, ShareWorker
from veneer.scale.remote import open_part
from veneer.scale.share import Share, shares

Engine = Literal["local", "torchrun", "ray"]


@dataclass(frozen=True)
class Holders:
    """source: for head.extract, None for this process alone. leads: whether this process searches
    and writes; any other has done its work when it gets this object."""

    source: TokenSource | None
    leads: bool = True


def chosen_engine(engine: Engine) -> Engine:
    """Return the engine: the one given, or `torchrun` under torchrun. Raises InputError for
    `torchrun` without it."""
    if engine == "torchrun" and not started_by_torchrun():
        raise InputError(
            "--engine torchrun was given, but torchrun did not start this process; start it with: "
            "torchrun --nproc-per-node 2 --no-python veneer extract ..."
        )
    return "torchrun" if started_by_torchrun() else engine


@contextlib.contextmanager
def holders(
    engine: Engine,
    place: str,
    config: ExtractConfig,
    *,
    device: str = "auto",
    ray: RayConfig | None = None,
    watch: Callable[[Crew], None] | None = None,
) -> Iterator[Holders]:
    """Yield the holders of the tokens of the capture at `place` while the extraction lasts.

    Ray workers start at the first call to them; watch: called with them then. Raises InputError for
    a fit that needs one process, and for a damaged share; MissingExtra without Ray.
    """
    if engine == "local":
        yield Holders(None)
        return
    _refuse_one_process(config)
    if engine == "torchrun":
        with _torchrun_holders(place, config, device) as held:
            yield held
        return
    with _ray_holders(place, config, device, ray or RayConfig(), watch) as held:
        yield held


def _refuse_one_process(config: ExtractConfig) -> None:
    """Raise InputError for a fit that needs one process."""
    if config.shuffled:
        raise InputError(
            "the head-capacity control needs all hidden states in one process; leave out "
            "--shuffled or --engine"
        )
    if config.solver == "paper":
        raise InputError(
            "the published recipe runs in one process, as it was published; leave out --solver "
            "paper or --engine"
        )


@contextlib.contextmanager
def _torchrun_holders(place: str, config: ExtractConfig, device: str) -> Iterator[Holders]:
    """Yield the shares of torchrun's processes; every process but the first serves its share
    until the first one ends."""
    with group(device) as everyone:
        share, failure = None, None
        try:
            share = Share(
                place,
                shares(place, everyone.size)[everyone.rank],
                config.dtype,
                device,
                config.output == "bias",
            )
        except InputError as error:
            failure = error
        everyone.agree(failure)
        assert share is not None
        if not everyone.first:
            follow(everyone, share)
            yield Holders(None, leads=False)
            return
        source = GroupSource(everyone, share)
        try:
            yield Holders(source)
        finally:
            with contextlib.suppress(VeneerError):  # a dead process was reported before
                source.end()


@contextlib.contextmanager
def _ray_holders(
    place: str,
    config: ExtractConfig,
    device: str,
    ray: RayConfig,
    watch: Callable[[Crew], None] | None,
) -> Iterator[Holders]:
    """Yield the shares of Ray workers, which start at the first call to them."""
    constant = config.output == "bias"
    need_ray()
    with contextlib.ExitStack() as stack:

        def start() -> Crew:
            held = shares(place, ray.workers)
            worker_device = "auto" if ray.gpus else "cpu"
            connection = stack.enter_context(cluster(ray))
            crew = stack.enter_context(
                Crew(
                    connection,
                    ShareWorker,
                    (place, held, config.dtype, worker_device, constant),
                    ray,
                )
            )
            if watch:
                watch(crew)
            return crew

        head = open_part(place, ()).head
        yield Holders(
            RaySource(
                start,
                wider(head) if constant else head,
                getattr(torch, config.dtype),
                resolve_device(device),
            )
        )
