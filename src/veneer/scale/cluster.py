"""Start workers on a Ray cluster, call them, and replace those that die."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

from veneer.foundation.errors import InputError, MissingExtra, VeneerError
from veneer.foundation.settings import Option, refuse_unused

DEATHS = 3  # of successive workers on one piece of work, before it is given up
PATIENCE = 120.0  # seconds to wait for a worker to find a place while none is at work


@dataclass(frozen=True, slots=True)
class RayConfig:
    """Workers of --engine ray (docs/scale.md)."""

    workers: int = 2
    """Number of workers; each holds the models, or its share of a capture's tokens."""
    cpus: Annotated[int, Option(name="cpus-per-worker")] = 1
    """CPUs, and threads, of each worker."""
    gpus: Annotated[float, Option(name="gpus-per-worker")] = 0.0
    """GPUs of each worker."""
    address: Annotated[str | None, Option(name="ray-address", metavar="ADDRESS")] = None
    """Address of a running Ray cluster, such as 10.0.0.1:6379; auto is the one that RAY_ADDRESS or
    this machine knows. Default: a new one on this machine."""
    object_store_mb: Annotated[int, Option(hidden=True)] = 200
    """Memory of the object store of a new cluster, in MiB."""

    def __post_init__(self) -> None:
        if self.workers < 1 or self.cpus < 1 or self.gpus < 0:
            raise InputError(
                f"found {self.workers} workers with {self.cpus} CPUs and {self.gpus:g} GPUs each; "
                "expected 1 or more workers and CPUs"
            )

    def check_engine(self, engine: str) -> None:
        """Raise SettingError for a setting of workers that another engine than Ray would ignore."""
        if engine != "ray":
            refuse_unused(self, "without --engine ray")


def need_ray() -> Any:
    """The package. Raises MissingExtra without it."""
    try:
        import ray
    except ImportError:
        raise MissingExtra("ray", "ray", "--engine ray") from None
    return ray


@contextlib.contextmanager
def cluster(config: RayConfig) -> Iterator[Any]:
    """A connection to the cluster, given up at the end; an own one is shut down. An existing
    connection is used and left open.

    Raises MissingExtra without Ray, InputError where the cluster cannot be reached or has no
    room for one worker.
    """
    ray = need_ray()
    if ray.is_initialized():
        _check_room(ray, config)
        yield ray
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    how: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "namespace": "veneer"}
    if config.address is None:
        how |= {
            "num_cpus": config.workers * config.cpus,
            "include_dashboard": False,
            "object_store_memory": config.object_store_mb << 20,
        }
    try:
        ray.init(address=config.address or "local", **how)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(
            f"the Ray cluster {config.address or 'on this machine'} cannot be reached "
            f"({_line(error)}); start one with `ray start --head`, or leave out --ray-address"
        ) from None
    try:
        _check_room(ray, config)
        yield ray
    finally:
        ray.shutdown()


def _check_room(ray: Any, config: RayConfig) -> None:
    has = ray.cluster_resources()
    if has.get("CPU", 0) < config.cpus or has.get("GPU", 0) < config.gpus:
        raise InputError(
            f"the cluster has {has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} GPUs, but one "
            f"worker takes {config.cpus} and {config.gpus:g}; give smaller --cpus-per-worker and "
            "--gpus-per-worker, or add machines"
        )


@dataclass
class WorkerAnswer:
    """Result of a worker's method, or the sentence with which it failed."""

    value: Any = None
    error: str | None = None
    exit_code: int = 1


def answered(method: Callable[[], Any]) -> WorkerAnswer:
    """Run a worker's method; a failure that a user can mend travels as its sentence, since
    exceptions lose their kind on the way."""
    from veneer.foundation.memory import is_out_of_memory

    try:
        return WorkerAnswer(method())
    except VeneerError as error:
        return WorkerAnswer(error=str(error), exit_code=error.exit_code)
    except Exception as error:
        if is_out_of_memory(error):
            return WorkerAnswer(
                error=(
                    f"memory ran out in a worker ({_line(error)}); give each worker more memory "
                    "or fewer tokens at once"
                )
            )
        raise


def opened(answer: WorkerAnswer, who: str) -> Any:
    """The value, or the worker's failure as it would have been here."""
    if answer.error is None:
        return answer.value
    raise (InputError if answer.exit_code == 2 else VeneerError)(f"{who}: {answer.error}")


@dataclass
class Crew:
    """Workers of one class, kind(number, threads, *arguments), which has a method `process`; Ray
    may put them anywhere. They end with its `with` block: an actor that somebody still refers to,
    in the traceback of an error say, would keep its CPUs for ever."""

    ray: Any
    kind: type
    arguments: tuple[Any, ...]
    config: RayConfig
    actors: list[Any] = field(default_factory=list)
    deaths: int = 0  # so far

    def __post_init__(self) -> None:
        self._remote = self.ray.remote(
            num_cpus=self.config.cpus, num_gpus=self.config.gpus, max_restarts=0
        )(self.kind)
        self.actors = [self._make(n) for n in range(self.config.workers)]

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *error: object) -> None:
        for actor in self.actors:
            with contextlib.suppress(Exception):
                self.ray.kill(actor)

    def _make(self, number: int) -> Any:
        return self._remote.remote(number, self.config.cpus, *self.arguments)

    def placed(self, number: int) -> Any:
        """An answer that comes when the cluster has placed the worker; it gets no work before."""
        return self.actors[number].process.remote()

    def replace(self, number: int) -> None:
        """A new actor in the place of a dead one."""
        self.deaths += 1
        with contextlib.suppress(Exception):
            self.ray.kill(self.actors[number])
        self.actors[number] = self._make(number)

    def is_death(self, error: BaseException) -> bool:
        """Whether a worker or its machine is gone, and not just a method failed."""
        kinds = self.ray.exceptions
        return isinstance(
            error,
            kinds.RayActorError
            | kinds.WorkerCrashedError
            | kinds.ObjectLostError
            | kinds.OutOfMemoryError
            | kinds.NodeDiedError,
        )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
