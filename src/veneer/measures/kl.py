"""Measures that need no task: held-out KL, what the veneer recovers of it, top-1 agreement, and KL
by response position."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from veneer.capture.artefact import Capture
from veneer.foundation.results import Measurement
from veneer.measures import words
from veneer.measures.held_out import HeldOut, cluster_ids
from veneer.statistics import intervals

BINS = [(p, p) for p in range(1, 11)] + [
    (11, 20),
    (21, 40),
    (41, 80),
    (81, 160),
    (161, 320),
    (321, 10**6),
]
NATS = "nats/token"
# nats per token; float32 makes so much of two equal models, and a share of it means nothing
ROUNDING = 1e-6


def noise_rows(capture: Capture, *, study: str, task: str = "joint") -> list[Measurement]:
    """The noise floor as system "aligned": the aligned model against itself at
    another batch size."""
    records = [
        r for r in capture.noise if task == "joint" or capture.prompts[r["prompt"]]["task"] == task
    ]
    if not records:
        return []
    numbers = [r["prompt"] for r in records]
    clusters = cluster_ids(capture.clusters, numbers)
    tokens = np.array([float(r["tokens"]) for r in records])
    nats, same = (np.array([float(r[name]) for r in records]) for name in ("kl", "top1"))
    kl = intervals.ratio_of_sums(nats, tokens, seed=0, clusters=clusters)
    top = intervals.ratio_on_scale(same, tokens, 0, 1, seed=0, clusters=clusters)
    return [
        Measurement.estimated(
            kl, study, task, "kl", "aligned", split="noise", unit=NATS, note=words.NOISE_FLOOR
        ),
        Measurement(
            study,
            task,
            "top1_agreement",
            "aligned",
            top.value,
            top.n,
            top.low,
            top.high,
            split="noise",
            unit="share",
            note=words.NOISE_FLOOR,
        ),
    ]


def kl_rows(
    table: HeldOut,
    *,
    task: str = "joint",
    system: str = "veneer",
    with_base: bool = True,
    seed: int = 0,
) -> Iterator[Measurement]:
    """KL of base and of a veneer on the report part, the share of base's KL that the veneer
    recovers, and top-1 agreement with the aligned model. Each interval resamples prompts, or
    clusters of them."""
    mask = np.ones(len(table.prompt), bool) if task == "joint" else table.of_tasks([task])
    if not mask.any():
        return
    sums, counts, clusters = {}, np.zeros(0), table.clusters(mask)
    for name, values in (("base", table.kl_base), (system, table.kl_veneer)):
        sums[name], counts = table.by_prompt(values, mask)
    tops = {"base": table.base_top, system: table.veneer_top}
    for name in sums:
        if name == "base" and not with_base:
            continue
        kl = intervals.ratio_of_sums(sums[name], counts, seed=seed, clusters=clusters)
        yield Measurement.estimated(kl, "extract", task, "kl", name, split="report", unit=NATS)
        top = table.share(tops[name] == table.aligned_top, mask, seed=seed)
        yield Measurement.estimated(
            top, "extract", task, "top1_agreement", name, split="report", unit="share"
        )
    base = _above_rounding(sums["base"], counts)
    share = intervals.recovered(sums[system], base, seed=seed, clusters=clusters)
    yield Measurement.estimated(
        share, "extract", task, "kl_recovered", system, split="report", unit="share"
    )


def _above_rounding(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Base's KL by prompt, zeros where the whole is no more than rounding."""
    return sums if sums.sum() > ROUNDING * counts.sum() else np.zeros_like(sums)


def position_rows(
    table: HeldOut,
    *,
    task: str = "joint",
    system: str = "veneer",
    with_base: bool = True,
    seed: int = 0,
    metric: str = "kl",
    note: str | None = None,
) -> Iterator[Measurement]:
    """KL (or `metric`, where the capture's targets make it something else: nll.py) by response
    position: 1, 2, ... 10, then bins that double."""
    chosen = np.ones(len(table.prompt), bool) if task == "joint" else table.of_tasks([task])
    for first, last in BINS:
        mask = chosen & (table.position >= first) & (table.position <= last)
        if not mask.any():
            continue
        end = int(table.position[mask].max()) if last == 10**6 else last
        for name, values in (("base", table.kl_base), (system, table.kl_veneer)):
            if name == "base" and not with_base:
                continue
            mean = table.ratio(values, mask, seed=seed)
            yield Measurement.estimated(
                mean,
                "position",
                task,
                metric,
                name,
                split="report",
                position=(first, end),
                unit=NATS,
                note=note,
            )


def early_share_rows(
    table: HeldOut, tasks: Sequence[str], *, system: str = "base", first: int = 10, seed: int = 0
) -> Iterator[Measurement]:
    """Share of a system's KL that lies in the first ten response positions ("where it sits"):
    base's is the alignment's own; another system's is the share of the KL that it leaves."""
    values = table.kl_base if system == "base" else table.kl_veneer
    for task in ("joint", *tasks):
        mask = np.ones(len(table.prompt), bool) if task == "joint" else table.of_tasks([task])
        if not mask.any():
            continue
        sums, counts = table.by_prompt(values, mask)
        early, _ = table.by_prompt(np.where(table.position <= first, values, 0.0), mask)
        share = intervals.ratio_on_scale(
            early, _above_rounding(sums, counts), 0, 1, seed=seed, clusters=table.clusters(mask)
        )
        yield Measurement.estimated(
            share,
            "position",
            task,
            "early_kl_share",
            system,
            split="report",
            position=(1, first),
            unit="share",
        )
