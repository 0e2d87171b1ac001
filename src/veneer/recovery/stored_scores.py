"""Stored BERTScore files as similarities to the teacher's sample 0."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from veneer.errors import InputError
from veneer.imports.overton import BertScores, read_bertscore
from veneer.recovery.compare import SELF


def stored_f1(found: BertScores, reference: int = 0) -> list[np.ndarray]:
    """F1 of each prompt's candidates against sample `reference`, by candidate sample, without the pair of an answer with itself."""
    keep = (found.ref_samples == reference) & ~found.self_pairs
    return [found.f1[_candidates(found, keep & (found.instances == p))] for p in np.unique(found.instances)]


def read_scores(files: Sequence[Path], teacher: str) -> tuple[dict[str, list[np.ndarray]], str]:
    """(system -> similarities by prompt, hash code of the computation). Raises InputError where a file is of another reference, or where
    the files are not of the same prompts and computation."""
    found: dict[str, list[np.ndarray]] = {}
    first: BertScores | None = None
    for path in files:
        scores = read_bertscore(path)
        if scores.ref_model != teacher:
            raise InputError(f"{path} has scores against {scores.ref_model!r}; expected the teacher {teacher!r} as ref_model")
        if first is None:
            first = scores
        elif scores.hashcode != first.hashcode or not np.array_equal(np.unique(scores.instances), np.unique(first.instances)):
            raise InputError(f"{path} is of another computation or other prompts than {files[0]}; give scores of one run")
        name = SELF if scores.alt_model == teacher else scores.alt_model
        if name in found:
            raise InputError(f"{path} has scores of {scores.alt_model!r}, as another file has; give each system once")
        found[name] = stored_f1(scores)
    return found, "" if first is None else first.hashcode


def _candidates(found: BertScores, here: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero(here)
    return rows[np.argsort(found.alt_samples[rows], kind="stable")]
