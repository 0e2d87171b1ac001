"""Cost of a system's decoding beside the large base's: seconds per token, interleaved, and
memory."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from veneer.foundation.files import read_json, write_json
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement
from veneer.models.sampling import Sampling
from veneer.prompts.prompt import Prompt
from veneer.statistics.distributions import student_quantile
from veneer.studies.transfer.names import STUDY
from veneer.studies.transfer.words import memory_note, timing_note
from veneer.systems.shifted import ShiftedSystem
from veneer.systems.system import System

Local = System | ShiftedSystem
BATCH, TOKENS = 8, 24  # answers per batch, tokens per answer


@dataclass(frozen=True)
class Cost:
    """seconds: one batch a round, of `BATCH` answers of `TOKENS` tokens. weights: bytes of the
    parameters that decoding needs. working: bytes that one batch takes beside them at its most
    (keys and values, logits, activations)."""

    system: str
    seconds: list[float]
    weights: int
    working: int


def measure_costs(
    systems: Sequence[Local],
    prompts: Sequence[Prompt],
    rounds: int,
    out: Path,
    progress: Progress | None = None,
) -> list[Cost]:
    """Time the systems in turn, round by round, so that what else the machine does falls on all
    alike; every answer is TOKENS long. One batch of each goes before, untimed, in which the memory
    is measured. rounds: 2 or more. The result is kept in the file `out`, and read where that
    exists."""
    if out.is_file():
        return [Cost(**row) for row in read_json(out, "the timing of a transfer study")]
    same_length = [_endless(s) for s in systems]
    spread = prompts[:: max(1, len(prompts) // (BATCH * rounds))]  # prompts of all tasks
    batches = [
        [spread[(at + i) % len(spread)] for i in range(BATCH)]
        for at in range(0, BATCH * rounds, BATCH)
    ]
    working = [_working(s, batches[0]) for s in same_length]
    seconds: list[list[float]] = [[] for _ in systems]
    for number, batch in enumerate(batches):
        # alternate the order, so that no system always follows the same one
        turn = range(len(systems)) if number % 2 == 0 else reversed(range(len(systems)))
        for i in turn:
            started = time.perf_counter()
            _decode(same_length[i], batch)
            seconds[i].append(time.perf_counter() - started)
        if progress:
            progress(number + 1, rounds, "timing")
    costs = [
        Cost(system.name, times, _weights(system), extra)
        for system, times, extra in zip(systems, seconds, working, strict=True)
    ]
    write_json(out, [vars(c) for c in costs])
    return costs


def _endless(system: Local) -> Local:
    """The system without anything that ends an answer: systems that answer at different lengths
    are timed at one."""
    return replace(system, stop_ids=(), stop=())


def _decode(system: Local, prompts: Sequence[Prompt]) -> None:
    system.decode(prompts, Sampling(TOKENS), (), [p.id for p in prompts])
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _working(system: Local, prompts: Sequence[Prompt]) -> int:
    """Bytes that decoding one batch holds at its most beside those held before, as the
    allocator counts them."""
    model = system.lm if isinstance(system, System) else system.large
    if model.device.type == "cuda":
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated(model.device)
        torch.cuda.reset_peak_memory_stats(model.device)
        _decode(system, prompts)
        return int(torch.cuda.max_memory_allocated(model.device) - before)
    # the profiler says on stderr that it starts and stops
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        _decode(system, prompts)
    events = [e for e in watched.profiler.kineto_results.events() if e.name() == "[memory]"]
    changes = np.array([e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())])
    return int(max(0, changes.cumsum().max(initial=0)))


def _weights(system: Local) -> int:
    """Bytes of the parameters, each storage once. A head in place of the model's own counts as in a
    merged checkpoint: beside tied embeddings, and in the stead of untied ones."""
    if isinstance(system, ShiftedSystem):
        parts = [
            system.shift.values,
            system.shift.A,
            system.shift.B,
            system.shift.bias,
            system.shift.rows,
            system.shift.to_small,
        ]
        tensors = [
            *system.large.model.parameters(),
            *system.small.model.parameters(),
            *(p for p in parts if p is not None),
        ]
        return _bytes(tensors)
    own = system.lm.model.get_output_embeddings().weight
    tensors = list(system.lm.model.parameters())
    if system.head is None:
        return _bytes(tensors)
    tied = own is system.lm.model.get_input_embeddings().weight
    return _bytes(tensors if tied else [p for p in tensors if p is not own]) + _bytes(
        [system.head.weight]
    )


def _bytes(tensors: Sequence[Any]) -> int:
    storages = {
        p.untyped_storage().data_ptr(): p.untyped_storage().nbytes()
        for p in tensors
        if not p.is_meta
    }
    # in a split model: outside the devices
    return sum(storages.values()) + sum(p.nbytes for p in tensors if p.is_meta)


def cost_rows(costs: Sequence[Cost]) -> Iterator[Measurement]:
    """Rows of study "transfer", task "joint", split "timing": seconds per response token and memory
    of each system, and both as ratio to the first, which is the large base. n counts rounds. A
    ratio of times is the geometric mean over the rounds of the ratio within a round, its interval
    Student's t of the logarithms."""
    base = costs[0]
    tokens = BATCH * TOKENS
    timing = {"answers": BATCH, "tokens": TOKENS}
    note = timing_note(timing)
    for cost in costs:
        n = len(cost.seconds)
        value, low, high = _geometric(np.array(cost.seconds) / tokens)
        yield _row("seconds_per_token", cost.system, value, n, low, high, "s", note, timing)
        value, low, high = _geometric(np.array(cost.seconds) / np.array(base.seconds))
        yield _row("time_ratio", cost.system, value, n, low, high, "times base", note, timing)
        memory, of = cost.weights + cost.working, base.weights + base.working
        size = {"weights": cost.weights, "working": cost.working}
        in_words = memory_note(size)
        yield _row("memory", cost.system, memory / 2**20, 1, None, None, "MiB", in_words, size)
        yield _row(
            "memory_ratio",
            cost.system,
            memory / of,
            1,
            None,
            None,
            "times base",
            in_words,
            size,
        )


def _geometric(values: np.ndarray) -> tuple[float, float, float]:
    """Geometric mean of two or more positive values, and its 95 % interval."""
    logs = np.log(values)
    mean, n = logs.mean(), len(logs)
    half = student_quantile(0.975, n - 1) * logs.std(ddof=1) / np.sqrt(n)
    return float(np.exp(mean)), float(np.exp(mean - half)), float(np.exp(mean + half))


def _row(
    metric: str,
    system: str,
    value: float,
    n: int,
    low: float | None,
    high: float | None,
    unit: str,
    note: str,
    facts: dict[str, int],
) -> Measurement:
    return Measurement(
        STUDY,
        "joint",
        metric,
        system,
        value,
        n,
        low,
        high,
        split="timing",
        unit=unit,
        note=note,
        facts=facts,
    )
