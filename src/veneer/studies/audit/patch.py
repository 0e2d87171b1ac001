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
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement
from veneer.foundation.system_id import SystemId
from veneer.measures.clusters import kept, prompt_clusters
from veneer.measures.kl import NATS
from veneer.measures.positions import kl_of_system
from veneer.models.language_model import LanguageModel
from veneer.models.layers import decoder_layers
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.statistics import intervals
from veneer.studies.audit.names import ALL, AUDITED, BOTTOM, PATCHED, STUDY, TOP, patched_system
from veneer.studies.audit.words import patch_note
from veneer.systems.system import System
from veneer.systems.tuning import sharing


@dataclass(frozen=True)
class Patch:
    """The reference's layers `layers` in the audited model. end: TOP, BOTTOM or ALL, from which
    they are counted among the changed layers."""

    end: str
    layers: tuple[int, ...]

    @property
    def system(self) -> SystemId:
        return patched_system(self.end, len(self.layers))

    @property
    def name(self) -> str:
        """Such as "top-3"."""
        return self.system.name


def can_patch(reference: LanguageModel, audited: LanguageModel) -> bool:
    """Whether every layer of one model fits in the other's place: equal numbers,
    classes and shapes."""
    old, new = decoder_layers(reference), decoder_layers(audited)
    if len(old) != len(new):
        return False
    shapes = [
        [(n, tuple(p.shape)) for n, p in layer.named_parameters()]
        for stack in (old, new)
        for layer in stack
    ]
    return shapes[: len(old)] == shapes[len(old) :] and all(
        type(a) is type(c) for a, c in zip(old, new, strict=True)
    )


def patches(changed: Sequence[int], steps: int) -> list[Patch]:
    """`steps` numbers of layers from the top and from the bottom of the changed ones,
    all of them once."""
    total = len(changed)
    counts = sorted({max(1, round(total * i / steps)) for i in range(1, steps + 1)})
    from_ends = [
        Patch(end, tuple(changed[-n:] if end == TOP else changed[:n]))
        for end in (TOP, BOTTOM)
        for n in counts
        if n < total
    ]
    return [*from_ends, Patch(ALL, tuple(changed))] if total else []


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

    `out`: folder with one file per finished patch.
    """
    roles, clusters = [prompts[n].task for n in numbers], prompt_clusters(prompts)
    todo = patches(changed, steps)
    for at, patch in enumerate(todo):
        sums = _sums(pair, capture, prompts, numbers, patch, out / f"{patch.name}.json")
        for task in ("all", *dict.fromkeys(roles)):
            keep = np.array([task in ("all", r) for r in roles])
            before, after, tokens = (column[keep] for column in sums)
            own = kept(clusters, np.array(numbers)[keep])
            facts = {"layers": list(patch.layers), "prompts": len(tokens)}
            kl = intervals.ratio_of_sums(after, tokens, seed=seed, clusters=own)
            yield Measurement.estimated(
                kl,
                STUDY,
                task,
                "kl",
                patch.name,
                split=PATCHED,
                unit=NATS,
                note=patch_note(facts),
                facts=facts,
            )
            gone = intervals.recovered(after, before, seed=seed, clusters=own)
            yield Measurement.estimated(
                gone,
                STUDY,
                task,
                "kl_recovered",
                patch.name,
                split=PATCHED,
                unit="share",
                facts=facts,
            )
            if at == 0:
                whole = intervals.ratio_of_sums(before, tokens, seed=seed, clusters=own)
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
        table = kl_of_system(capture, system, prompts, pair, numbers)
        before, tokens = table.by_prompt(table.kl_base)
        after, _ = table.by_prompt(table.kl_veneer)
        order = {int(n): i for i, n in enumerate(np.unique(table.prompt))}
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
    sums = np.array(read_json(out, "the KL of a patched model")["sums"], float)
    return sums[:, 0], sums[:, 1], sums[:, 2]


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
