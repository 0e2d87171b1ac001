"""A capture whose shards workers on a Ray cluster make: the same shards, byte for byte, as one
process makes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from veneer.capture.artefact import Capture
from veneer.capture.config import CaptureConfig
from veneer.capture.job import Job
from veneer.capture.shards import identity
from veneer.capture.shelf import Shelf, begin, finish
from veneer.capture.teachers.aligned import AlignedModel
from veneer.foundation.errors import InputError, VeneerError
from veneer.foundation.files import ScratchFolder, folder_lock
from veneer.foundation.progress import Progress
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.scale.cluster import (
    DEATHS,
    PATIENCE,
    Crew,
    RayConfig,
    WorkerAnswer,
    answered,
    cluster,
    opened,
)
from veneer.scale.remote_shelf import RemoteShelf, shelf_of
from veneer.scale.storage import Remote, is_url


class CaptureWorker:
    """A worker that holds the models and makes shards. threads: of torch; with as many as a local
    run has, it makes the same bytes."""

    def __init__(
        self, number: int, threads: int, make_job: Callable[[], Job], place: str, folder: str
    ):
        torch.set_num_threads(threads)
        # relative names of models and prompts mean what they meant to the command
        with contextlib.suppress(OSError):
            os.chdir(folder)
        self.number, self.make_job, self.place = number, make_job, place
        self._job: Job | None = None
        self._shelf: Shelf | None = None

    @property
    def job(self) -> Job:
        if self._job is None:
            self._job = self.make_job()
        return self._job

    @property
    def shelf(self) -> Shelf:
        """The place itself, where machines share it as a folder; for a URL a folder that holds only
        the files being copied."""
        if self._shelf is None:
            if is_url(self.place):
                self._scratch = ScratchFolder("veneer-shards")
                self._shelf = RemoteShelf(Remote(self.place), self._scratch.path, keep=False)
            else:
                self._shelf = Shelf(Path(self.place))
        return self._shelf

    def begin(self) -> WorkerAnswer:
        """Write the files before the first shard; return the plan, the existing shards, and the
        job's identity."""

        def prepare() -> tuple[list[list[list[int]]], list[int], str]:
            begin(self.job, self.shelf)
            return (
                self.job.plan,
                [n for n in range(len(self.job.plan)) if self.shelf.is_done(n)],
                identity(self.job.manifest),
            )

        return answered(prepare)

    def make(self, shard: int, expected: str) -> WorkerAnswer:
        """Make one shard of the job that `expected` identifies."""

        def put() -> int:
            if identity(self.job.manifest) != expected:
                raise InputError(
                    "its models, prompts or settings are not those of the first worker; put the "
                    "same models on every machine"
                )
            if is_url(self.place) and not (self.shelf.folder / "manifest.json").is_file():
                self.shelf.prepare()
            if not (self.shelf.folder / "manifest.json").is_file():
                raise InputError(
                    f"it does not see {self.place}; give a folder that all machines share, or a "
                    "URL such as s3://bucket/folder"
                )
            self.shelf.put(shard, *self.job.shard(shard))
            return shard

        return answered(put)

    def finish(self) -> WorkerAnswer:
        def join() -> None:
            if isinstance(self.shelf, RemoteShelf):
                self.shelf.prepare()  # other workers have put shards at the URL
            finish(self.job, self.shelf)

        return answered(join)

    def process(self) -> WorkerAnswer:
        return WorkerAnswer(os.getpid())


def pair_job(load: Callable[[], Pair], prompts: Sequence[Prompt], config: CaptureConfig) -> Job:
    """Return the job of a pair's capture."""
    pair = load()
    return Job.of(pair.base, AlignedModel(pair), prompts, config, pair.base_format)


def capture_with_ray(
    make_job: Callable[[], Job],
    place: str | Path,
    config: RayConfig,
    progress: Progress | None = None,
    *,
    watch: Callable[[Crew, int], None] | None = None,
) -> Capture:
    """`make_capture` with the shards of the plan made by workers. make_job: makes the job on a
    worker, so only workers load the models; it travels pickled, over the cluster's
    own connections. place: a folder that all machines share, or a URL. watch: called with the
    workers and the number of shards made so far.

    A worker that dies is replaced and its shard made again; after DEATHS deaths over one shard it
    is given up. Raises MissingExtra, InputError and VeneerError as a local capture does, with the
    worker's sentence.
    """
    shelf = shelf_of(place)
    place = str(place) if is_url(place) else str(shelf.folder.resolve())
    with (
        folder_lock(shelf.folder),
        cluster(config) as ray,
        Crew(ray, CaptureWorker, (make_job, place, str(Path.cwd())), config) as crew,
    ):
        plan, done, expected = _ask(crew, "begin")
        sizes = [sum(map(len, batches)) for batches in plan]
        made = sum(sizes[n] for n in done)
        if not is_url(place) and not (shelf.folder / "manifest.json").is_file():
            raise InputError(
                f"the workers do not share {place} with this machine; give a folder that they "
                "share, or a URL"
            )
        waiting = [n for n in range(len(plan)) if n not in set(done)]
        queue = _ShardQueue(crew, expected, waiting)
        while not queue.finished:
            if progress:
                progress(made, sum(sizes), "capture")
            for shard in queue.wait():
                made += 0 if shard is None else sizes[shard]
                if watch:
                    watch(crew, len(plan) - queue.unfinished)
        _ask(crew, "finish")
        if progress:
            progress(made, sum(sizes), "capture")
    return shelf_of(place).open()


class _ShardQueue:
    """Give the waiting shards to a crew's workers, lowest number first, and replace dead workers.

    expected: identity of the job, which every worker checks.
    """

    def __init__(self, crew: Crew, expected: str, waiting: Sequence[int]):
        self.crew, self.expected = crew, expected
        self._waiting = list(waiting)[::-1]
        # answer to come -> its worker and shard; no shard until the worker is placed
        self._pending: dict[Any, tuple[int, int | None]] = {
            crew.placed(n): (n, None) for n in range(crew.config.workers)
        }
        self._deaths: dict[int, int] = {}

    @property
    def _in_work(self) -> int:
        return sum(shard is not None for _, shard in self._pending.values())

    @property
    def unfinished(self) -> int:
        """Number of shards that wait or are being made."""
        return len(self._waiting) + self._in_work

    @property
    def finished(self) -> bool:
        return not self.unfinished

    def wait(self) -> Iterator[int | None]:
        """Wait for answers, yield the shard of each (None: the worker was placed), and give its
        worker the next shard. Raises VeneerError where no worker gets a place within PATIENCE, or
        with a worker's sentence."""
        ray = self.crew.ray
        ready, _ = ray.wait(list(self._pending), num_returns=1, timeout=PATIENCE)
        if not ready and not self._in_work:
            raise VeneerError(
                f"no worker found a place on the cluster within {PATIENCE:.0f} s; run the "
                "same command again later"
            )
        for answer in ready:
            worker, shard = self._pending.pop(answer)
            try:
                opened(ray.get(answer), f"worker {worker} at shard {shard}")
            except Exception as error:
                if not self.crew.is_death(error):
                    raise
                self._replace(worker, shard, error)
                continue
            if self._waiting:
                following = self._waiting.pop()
                call = self.crew.actors[worker].make.remote(following, self.expected)
                self._pending[call] = (worker, following)
            yield shard

    def _replace(self, worker: int, shard: int | None, error: Exception) -> None:
        if shard is not None:
            self._waiting.append(shard)
            _count_death(self._deaths, shard, error)
        self.crew.replace(worker)
        self._pending[self.crew.placed(worker)] = (worker, None)


def _count_death(lost: dict[int, int], shard: int, error: Exception) -> None:
    lost[shard] = lost.get(shard, 0) + 1
    if lost[shard] >= DEATHS:
        raise VeneerError(
            f"shard {shard} has killed {DEATHS} workers, the last with: "
            f"{' '.join(str(error).split())[:200]}; give each worker more memory or a smaller "
            "--batch-size, and run the same command again: finished shards are kept"
        ) from None


def _ask(crew: Crew, method: str) -> Any:
    """Call the first worker with a method that may be repeated without harm."""
    for attempt in range(DEATHS):
        try:
            return opened(crew.ray.get(getattr(crew.actors[0], method).remote()), "worker 0")
        except Exception as error:
            if not crew.is_death(error) or attempt == DEATHS - 1:
                raise
            crew.replace(0)
    raise AssertionError("unreachable")
