"""How far two models' distributions lie apart on given answers, token by token, and what of it head
and layers make alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from veneer.capture.artefact import Capture
from veneer.foundation.errors import VeneerError
from veneer.foundation.files import write_atomically
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement
from veneer.measures.clusters import kept
from veneer.measures.given_texts import TextModel, exact_kl, texts_of_block
from veneer.measures.kl import BINS, NATS
from veneer.models.pair import Pair
from veneer.statistics import intervals
from veneer.statistics.intervals import Estimate
from veneer.studies.audit.names import AUDITED, ON, ONLY_HEAD, ONLY_LAYERS, STUDY
from veneer.systems.responses import Response

AT_ONCE = 128  # rows of logits: 128 x 50,000 x 4 bytes = 26 MB, five of them at a time
Columns = dict[str, Tensor]
Distances = dict[str, np.ndarray]


@torch.inference_mode()
def distances_on_reference(
    pair: Pair,
    capture: Capture,
    reference_ids: Sequence[list[int]],
    out: Path,
    progress: Progress | None = None,
) -> Distances:
    """Both models on the reference's own answers: `pair.base` is the audited model, whose states
    the capture holds.

    The reference reads the same batches as it did, so that two equal models have distance 0 to the
    last bit. Entries (N,): prompt (its number in the capture), position (1-based), kl, only_head
    and only_layers in nats, agree (the same top token). only_* are NaN where the two heads do not
    fit each other's states. Kept in the folder `out`, one file per batch.
    """

    reference = TextModel.aligned_of(pair)

    def batches() -> Iterator[tuple[int, Callable[[], Columns]]]:
        for shard, batches in enumerate(capture.manifest["plan"]):
            for batch in batches:
                yield len(batch), partial(read, shard, batch)

    def read(shard: int, batch: list[int]) -> Columns:
        block = capture.read(shard, ("prompt", "position", "token", "hidden"), batch)
        answers = texts_of_block(block)
        states = reference.states(
            [reference_ids[n] for n in batch], [answers.get(n, []) for n in batch]
        )
        return {
            "prompt": block["prompt"],
            "position": block["position"],
            **_two_heads(pair, torch.cat(states), block["hidden"]),
        }

    return _numpy(
        kept_columns(
            batches(), len(reference_ids), out, "distances on the reference's answers", progress
        )
    )


@torch.inference_mode()
def distances_on_audited(
    pair: Pair,
    ids: tuple[Sequence[list[int]], Sequence[list[int]]],
    responses: Sequence[Response],
    batch_size: int,
    out: Path,
    progress: Progress | None = None,
) -> Distances:
    """Distances on the audited model's own answers. ids: every prompt's for the audited model and
    for the reference."""
    size = pair.vocabulary.size
    # padding rows are never chosen
    answers = [[t for t in r.token_ids if t < size] for r in responses]
    order = sorted(range(len(answers)), key=lambda i: (len(answers[i]), i))
    models = TextModel.base_of(pair), TextModel.aligned_of(pair)

    def read(batch: list[int]) -> Columns:
        own = [answers[i] for i in batch]
        audited, reference = (
            torch.cat(model.states([theirs[i] for i in batch], own))
            for model, theirs in zip(models, ids, strict=True)
        )
        numbers = torch.tensor([i for i in batch for _ in answers[i]], dtype=torch.int32)
        positions = torch.tensor([p + 1 for a in own for p in range(len(a))], dtype=torch.int32)
        return {"prompt": numbers, "position": positions, **_two_heads(pair, reference, audited)}

    batches = (order[at : at + batch_size] for at in range(0, len(order), batch_size))
    made = ((len(batch), partial(read, batch)) for batch in batches)
    return _numpy(
        kept_columns(made, len(order), out, "distances on the audited model's answers", progress)
    )


def kept_columns(
    batches: Iterable[tuple[int, Callable[[], Columns]]],
    total: int,
    out: Path,
    what: str,
    progress: Progress | None,
) -> Columns:
    """The columns of all batches, one behind the other; each batch (number of prompts, how to make
    it) is made where its file in the folder `out` is missing."""
    out.mkdir(parents=True, exist_ok=True)
    chunks: list[Columns] = []
    done = 0
    for number, (size, make) in enumerate(batches):
        path = out / f"{number:05d}.safetensors"
        if not path.is_file():
            columns = {name: column.contiguous() for name, column in make().items()}
            write_atomically(path, partial(save_file, columns))
        chunks.append(load_file(path))
        done += size
        if progress:
            progress(done, total, what)
    return {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _numpy(columns: Columns) -> Distances:
    return {name: column.numpy() for name, column in columns.items()}


def _two_heads(pair: Pair, reference: Tensor, audited: Tensor) -> Columns:
    """Exact KL over the shared vocabulary, from the final states (N, d_A) and (N,
    d_C) of both models."""
    first, second = TextModel.base_of(pair), TextModel.aligned_of(pair)
    head, own = second.head, first.head
    fits = head.width == own.width
    same = (
        fits
        and pair.vocabulary.to_other is None
        and _equal(head.weight[: pair.vocabulary.size], own.weight)
        and (
            head.bias is own.bias is None
            and head.scale == own.scale
            and head.softcap == own.softcap
        )
    )
    columns: dict[str, list[Tensor]] = {
        name: [] for name in ("kl", "only_head", "only_layers", "agree")
    }
    for at in range(0, len(reference), AT_ONCE):
        a, c = (
            reference[at : at + AT_ONCE].to(head.weight.device),
            audited[at : at + AT_ONCE].to(own.weight.device),
        )
        p = second.logits(a).log_softmax(-1)
        logits = first.logits(c)
        kl = _kl(p, logits)
        if not torch.isfinite(kl).all():
            raise VeneerError(
                f"{pair.base.name} or {pair.aligned.name} gives numbers that are not finite; its "
                "weights may be damaged"
            )
        columns["kl"].append(kl)
        columns["agree"].append((p.argmax(-1) == logits.argmax(-1)).float().cpu())
        nothing = torch.full_like(kl, torch.nan)
        columns["only_head"].append(
            torch.zeros_like(kl) if same else _kl(p, first.logits(a)) if fits else nothing
        )
        layers = second.logits(c) if fits and not same else None
        columns["only_layers"].append(kl if same else nothing if layers is None else _kl(p, layers))
    return {name: torch.cat(pieces) for name, pieces in columns.items()}


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.equal(a, b)


def _kl(p: Tensor, logits: Tensor) -> Tensor:
    """KL(exp p || softmax logits) in nats (N,), p (N, V) log-probabilities; 0 where
    rounding made it less."""
    return exact_kl(p, logits.log_softmax(-1)).clamp(min=0).cpu()


def distance_rows(
    distances: Distances,
    roles: Sequence[str],
    side: str,
    *,
    seed: int = 0,
    clusters: np.ndarray | None = None,
) -> Iterator[Measurement]:
    """KL(A || C), top-1 agreement, what head and layers make of the KL alone, and the KL by
    position; prompts are resampled.

    roles: the set of each prompt, by its number. side: whose answers these are. clusters: the id of
    each prompt (clusters.py), by its number.
    """
    split = ON[side]
    role = np.array(roles)[distances["prompt"]]
    for task in ("all", *dict.fromkeys(roles)):
        mask = np.ones(len(role), bool) if task == "all" else role == task
        if not mask.any():
            continue
        for column, metric, system, unit in (
            ("kl", "kl", AUDITED, NATS),
            ("only_head", "kl", ONLY_HEAD, NATS),
            ("only_layers", "kl", ONLY_LAYERS, NATS),
            ("agree", "top1_agreement", AUDITED, "share"),
        ):
            e = mean_of(distances, column, mask, seed, clusters, share=unit == "share")
            yield _row(e, task, metric, system, split, unit)
        for first, last in BINS:
            in_bin = mask & (distances["position"] >= first) & (distances["position"] <= last)
            if not in_bin.any():
                continue
            end = int(distances["position"][in_bin].max()) if last == BINS[-1][1] else last
            e = mean_of(distances, "kl", in_bin, seed, clusters)
            yield _row(e, task, "kl", AUDITED, split, NATS, (first, end))


def mean_of(
    distances: Distances,
    column: str,
    mask: np.ndarray,
    seed: int,
    clusters: np.ndarray | None = None,
    *,
    share: bool = False,
) -> Estimate:
    """A column's mean over tokens, with prompts, or clusters of them, resampled; an amount that is
    0 at every token has no spread to resample. share: whether the column says yes or no."""
    values = distances[column][mask].astype(float)
    numbers, inverse = np.unique(distances["prompt"][mask], return_inverse=True)
    counts = np.bincount(inverse).astype(float)
    if np.isnan(values).any():
        note = "one model's head does not fit the other's hidden states"
        return Estimate(None, None, None, len(counts), "none", note)
    sums, own = np.bincount(inverse, values), kept(clusters, numbers)
    if share:
        return intervals.ratio_on_scale(sums, counts, 0, 1, seed=seed, clusters=own)
    if not values.any():
        return Estimate(
            0.0, None, None, len(counts), "none", f"exactly 0 at each of {len(values)} tokens"
        )
    return intervals.ratio_of_sums(sums, counts, seed=seed, clusters=own)


def _row(
    e: Estimate,
    task: str,
    metric: str,
    system: str,
    split: str,
    unit: str,
    position: tuple[int, int] | None = None,
) -> Measurement:
    return Measurement.estimated(
        e, STUDY, task, metric, system, split=split, unit=unit, position=position
    )
