"""KL(aligned || system) by position behind a forced prefix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from veneer.foundation.errors import InputError
from veneer.foundation.files import json_lines, read_json_lines, write_text
from veneer.foundation.results import Measurement
from veneer.measures.clusters import kept, prompt_clusters
from veneer.measures.given_texts import Passages
from veneer.measures.kl import BINS, NATS
from veneer.measures.words import NOISE_FLOOR
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.statistics import intervals
from veneer.studies.depth.names import STUDY
from veneer.systems.responses import Response
from veneer.systems.system import System

LAST = 20  # positions behind the prefix

ByPrompt = dict[str, list[list[float]]]  # system -> prompt -> nats at each position behind


def distances(
    pair: Pair,
    systems: Sequence[System],
    prompts: Sequence[Prompt],
    answers: Sequence[Response],
    lengths: Sequence[int],
    path: Path,
) -> ByPrompt:
    """KL(aligned || system) over the shared vocabulary, in nats, at the first 20 positions behind
    each forced prefix, along the aligned model's own continuation.

    systems: aligned first. answers: the aligned model's, in its own ids. lengths: its number of
    forced tokens of each. path: file that keeps the values for an interrupted run.
    """
    names = [s.name for s in systems[1:]]
    if path.is_file():
        return _kept(path, names, len(prompts))
    passages = _passages(pair, prompts, answers, lengths)
    values: ByPrompt = {}
    for system in systems[1:]:
        by_token = passages.kl_by_token(systems[0], system)
        values[system.name] = [
            [float(x) for x in one[n:]] for one, n in zip(by_token, lengths, strict=True)
        ]
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = (
        {"prompt_id": p.id, **{name: values[name][i] for name in names}}
        for i, p in enumerate(prompts)
    )
    write_text(path, json_lines(rows))
    return values


def noise_row(
    pair: Pair,
    aligned: System,
    prompts: Sequence[Prompt],
    answers: Sequence[Response],
    lengths: Sequence[int],
    *,
    task: str,
    seed: int = 0,
) -> Measurement:
    """The noise floor of these distances: the aligned model against itself at another batch size,
    in nats per token, on the first prompts' answers. See `distances` for the arguments."""
    values, tokens = _passages(pair, prompts, answers, lengths).noise(aligned)
    return Measurement.estimated(
        intervals.ratio_of_sums(
            values, tokens, seed=seed, clusters=prompt_clusters(prompts[: len(values)])
        ),
        *(STUDY, task, "kl", aligned.name),
        split="noise",
        unit=NATS,
        note=NOISE_FLOOR,
    )


def kl_rows(
    values: ByPrompt,
    *,
    task: str,
    split: str,
    facts: Mapping[str, Any],
    clusters: np.ndarray | None = None,
    seed: int = 0,
) -> Iterator[Measurement]:
    """Nats per token at each position behind the prefix (1 to 10, and 11 to 20 together), intervals
    over the prompts that have a token there. clusters: the id of each prompt (clusters.py)."""
    for system, by_prompt in values.items():
        for first, last in BINS:
            parts = [one[first - 1 : last] for one in by_prompt]
            if first > LAST or not any(parts):
                continue
            sizes = np.array([float(len(p)) for p in parts])
            there = sizes > 0
            yield Measurement.estimated(
                intervals.ratio_of_sums(
                    np.array([sum(p) for p in parts])[there],
                    sizes[there],
                    seed=seed,
                    clusters=kept(clusters, there),
                ),
                *(STUDY, task, "kl", system),
                split=split,
                position=(first, last),
                unit=NATS,
                facts=facts,
            )


def _passages(
    pair: Pair, prompts: Sequence[Prompt], answers: Sequence[Response], lengths: Sequence[int]
) -> Passages:
    """Each answer's forced tokens and the first 20 behind them, in base's ids."""
    to_base = pair.vocabulary.ids_from_other
    tokens = [
        tuple(to_base(list(a.token_ids[: n + LAST]))) for a, n in zip(answers, lengths, strict=True)
    ]
    return Passages(list(prompts), tokens, pair.base.pad_id, (pair.aligned, pair.vocabulary))


def _kept(path: Path, names: Sequence[str], count: int) -> ByPrompt:
    rows = [row for _, row in read_json_lines(path, "distances, which `veneer depth` keeps")]
    try:
        if len(rows) != count:
            raise ValueError(f"{len(rows)} rows")
        return {name: [[float(x) for x in row[name]] for row in rows] for name in names}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} does not hold the distances of {count} prompts ({error}); delete it and run "
            "the same command again"
        ) from None
