"""Which layers carry the change: the audited model with some of its changed layers replaced by the
reference's, from either end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from veneer.capture.artefact import Capture
from veneer.foundation.files import read_json, write_json
from veneer.foundation.results import Measurement
from veneer.measures.kl import NATS
from veneer.measures.positions import kl_of_system
from veneer.models.language_model import LanguageModel
from veneer.models.layers import decoder_layers
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.statistics import intervals
from veneer.studies.audit.config import AUDITED, PATCHED, STUDY
from veneer.studies.audit.weights import ranges
from veneer.systems.respond import Progress
from veneer.systems.system import System
from veneer.systems.tuning import sharing


@dataclass(frozen=True)
class Patch:
    """The reference's layers `layers` in the audited model; name: "top-3", "bottom-3" or "all-4",
    counted among the changed layers."""

    name: str
    layers: tuple[int, ...]


def can_patch(reference: LanguageModel, audited: LanguageModel) -> bool:
    """Whether every layer of one model fits in the other's place: equal numbers,
    classes and shapes."""
    old, new = decoder_layers(reference), decoder_layers(audited)
    if len(old) != len(new):
        return False
    shapes = [
        [(n, tuple(p.shape)) for n, p in layer.named_parameters()]
        for some in (old, new)
        for layer in some
    ]
    return shapes[: len(old)] == shapes[len(old) :] and all(
        type(a) is type(c) for a, c in zip(old, new, strict=True)
    )


def patches(changed: Sequence[int], steps: int) -> list[Patch]:
    """`steps` numbers of layers from the top and from the bottom of the changed ones,
    all of them once."""
    total = len(changed)
    counts = sorted({max(1, round(total * i / steps)) for i in range(1, steps + 1)})
    some = [
        Patch(f"{end}-{n}", tuple(changed[-n:] if end == "top" else changed[:n]))
        for end in ("top", "bottom")
        for n in counts
        if n < total
    ]
    return [*some, Patch(f"all-{total}", tuple(changed))] if total else []


def patch_rows(
    pair: Pair,
    capture: Capture,
    prompts: Sequence[Prompt],
    numbers: Sequence[int],
    changed: Sequence[int],
    steps: int,
    out: Path,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Iterator[Measurement]:
    """KL(A || patched C) on the reference's answers to some prompts (numbers of the capture), and
    the share of C's KL that is gone.

    `out` is a folder that keeps what is done, a file a patch.
    """
    roles = [prompts[n].task for n in numbers]
    todo = patches(changed, steps)
    for at, patch in enumerate(todo):
        sums = _sums(pair, capture, prompts, numbers, patch, out / f"{patch.name}.json")
        for task in ("all", *dict.fromkeys(roles)):
            keep = np.array([task in ("all", r) for r in roles])
            before, after, tokens = (column[keep] for column in sums)
            where = (
                f"the reference's {ranges(patch.layers)} in the audited model; "
                f"{len(tokens)} prompts"
            )
            kl = intervals.ratio_of_sums(after, tokens, seed=seed)
            yield Measurement.estimated(
                kl, STUDY, task, "kl", patch.name, split=PATCHED, unit=NATS, note=where
            )
            gone = intervals.recovered(after, before, seed=seed)
            yield Measurement.estimated(
                gone, STUDY, task, "kl_recovered", patch.name, split=PATCHED, unit="share"
            )
            if at == 0:
                whole = intervals.ratio_of_sums(before, tokens, seed=seed)
                yield Measurement.estimated(
                    whole, STUDY, task, "kl", AUDITED, split=PATCHED, unit=NATS
                )
        if progress:
            progress(at + 1, len(todo), "layers patched")


def _sums(
    pair: Pair,
    capture: Capture,
    prompts: Sequence[Prompt],
    numbers: Sequence[int],
    patch: Patch,
    out: Path,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By prompt, in the order of `numbers`: KL sums of the audited model and of the patched one,
    and numbers of tokens."""
    if not out.is_file():
        system = System(patch.name, _patched(pair, patch), pair.base_format, pair.stop_ids)
        found = kl_of_system(capture, system, prompts, pair, numbers)
        before, tokens = found.by_prompt(found.kl_base)
        after, _ = found.by_prompt(found.kl_veneer)
        order = {int(n): i for i, n in enumerate(np.unique(found.prompt))}
        rows = [[before[order[n]], after[order[n]], tokens[order[n]]] for n in numbers]
        out.parent.mkdir(parents=True, exist_ok=True)
        write_json(
            out,
            {
                "layers": list(patch.layers),
                "numbers": list(numbers),
                "sums": json.loads(json.dumps(rows)),
            },
        )
    table = np.array(read_json(out, "the KL of a patched model")["sums"], float)
    return table[:, 0], table[:, 1], table[:, 2]


def _patched(pair: Pair, patch: Patch) -> LanguageModel:
    """The audited model over the same weights, with some layers of the reference; neither
    model is changed."""
    lm = LanguageModel(
        f"{pair.base.name}, {patch.name} patched", sharing(pair.base.model), pair.base.tokenizer
    )
    own, theirs = decoder_layers(lm), decoder_layers(pair.aligned)
    for i in patch.layers:
        own[i] = theirs[i]
    return lm
