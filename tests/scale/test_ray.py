"""Capture and extraction on a Ray cluster of two workers on this machine: the bytes of one process,
also where a worker is killed."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import pytest
import torch
from folders import content

from veneer.capture import CaptureConfig, capture
from veneer.foundation.errors import InputError, MissingExtra, VeneerError
from veneer.head.config import ExtractConfig
from veneer.head.extract import extract
from veneer.models.decode import Sampling
from veneer.models.pair import Pair
from veneer.scale.cluster import Crew, RayConfig, answered, cluster, opened
from veneer.scale.extraction import holders
from veneer.scale.ray_capture import capture_with_ray, pair_job
from veneer.scale.remote import open_capture
from veneer.tasks.source import load_prompts

CONFIG = CaptureConfig(
    k=16, batch_size=4, shard_batches=1, noise_prompts=3, sampling=Sampling(max_new_tokens=12)
)


@pytest.fixture(scope="module")
def ray():
    """A cluster that all tests here use."""
    ray = pytest.importorskip("ray", reason="needs the package ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=200 << 20,
        log_to_driver=False,
        logging_level="ERROR",
    )
    yield ray
    ray.shutdown()


def prompts():
    return load_prompts("lab-requests", limit=32)


def job():
    return partial(pair_job, partial(Pair.load, "lab:base", "lab:aligned"), prompts(), CONFIG)


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("local") / "capture"
    capture(Pair.load("lab:base", "lab:aligned"), prompts(), out, CONFIG)
    return out


def kill(crew: Crew, worker: int) -> None:
    os.kill(crew.ray.get(crew.actors[worker].process.remote()).value, signal.SIGKILL)


def test_an_interrupted_capture_resumes_although_a_worker_is_killed(ray, local, tmp_path):
    """The command dies behind some shards; the next one makes only the others. The shard of a
    worker that is killed is made again by another, and the folder is that of one process."""
    out, killed, steps = tmp_path / "c", [], []

    def stop(crew: Crew, shards: int) -> None:
        if shards >= 3:
            raise KeyboardInterrupt

    def watch(crew: Crew, shards: int) -> None:
        if not killed:
            kill(crew, 1)
            killed.append(crew)

    with pytest.raises(KeyboardInterrupt):
        capture_with_ray(job(), out, RayConfig(), watch=stop)
    there = {p.name: p.stat().st_mtime_ns for p in out.glob("shard-*.json")}
    assert 0 < len(there) < 8
    capture = capture_with_ray(
        job(), out, RayConfig(), lambda *step: steps.append(step), watch=watch
    )
    assert killed and killed[0].deaths >= 1
    assert content(out) == content(local) and capture.tokens == open_capture(local).tokens
    assert all((out / name).stat().st_mtime_ns == when for name, when in there.items())
    assert steps[-1] == (32, 32, "capture")


def test_a_worker_killed_in_the_middle_of_an_extraction(ray, local):
    """What the search asked for is asked again: the same bytes with and without a death, and what
    one process finds."""
    config, capture = ExtractConfig(dtype="float64", stop="optimum", ridge=1), open_capture(local)
    veneers = []
    for cut in (False, True):
        crews: list[Crew] = []
        lines = []

        def log(line, cut=cut, crews=crews, lines=lines):
            lines.append(line)
            if cut and len(lines) == 4:
                kill(crews[0], 1)

        with holders(
            "ray", str(local), config, device="cpu", ray=RayConfig(), watch=crews.append
        ) as held:
            veneers.append(extract(capture, config, source=held.source, log=log).veneer)
        assert crews[0].deaths == int(cut)
    assert veneers[0].identity() == veneers[1].identity()
    alone = extract(capture, config).veneer
    assert veneers[0].facts["extraction"]["objective"] == pytest.approx(
        alone.facts["extraction"]["objective"], rel=1e-6
    )
    # as docs/scale.md says
    assert float((veneers[0].values() - alone.values()).norm() / alone.values().norm()) < 1e-4


def test_failures_of_workers_are_sentences(ray, tmp_path):
    missing = partial(pair_job, partial(Pair.load, "lab:base", "/no/such/model"), prompts(), CONFIG)
    with pytest.raises(InputError, match="worker 0: there is no folder /no/such/model"):
        capture_with_ray(missing, tmp_path / "c", RayConfig(workers=1))
    assert not list(tmp_path.rglob("*.safetensors"))
    with pytest.raises(InputError, match="one worker takes 64"), cluster(RayConfig(cpus=64)):
        pass


def test_memory_that_runs_out_in_a_worker_is_a_sentence():
    def greedy():
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(VeneerError, match="worker 3: memory ran out in a worker"):
        opened(answered(greedy), "worker 3")


def test_without_ray_the_install_line_is_shown(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"veneer\[ray\]"), cluster(RayConfig()):
        pass
    with pytest.raises(InputError, match="expected 1 or more workers"):
        RayConfig(workers=0)
