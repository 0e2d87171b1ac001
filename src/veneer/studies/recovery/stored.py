"""Stored answers of all systems, in the order of the teacher's prompts, and stored BERTScore
files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from veneer.foundation.errors import InputError
from veneer.imports import Imported, Rules, read_stored
from veneer.imports.overton import BertScores, read_bertscore
from veneer.measures.clusters import of_ids
from veneer.prompts.clusters import clusters_by_id
from veneer.prompts.prompt import Prompt
from veneer.studies.recovery.compare import SELF
from veneer.systems.responses import Response, finished

# as the published figures count: every answer that is a text
KEEP = Rules(clean=True, drop_truncated=False, drop_empty=False)
OWN_BLOCKS = Rules(clean=True, drop_truncated=False, drop_empty=False, answer_only=True)


@dataclass
class LinedUp:
    """All systems' answers to the same prompts.

    ids: the prompts that have a reference, in the teacher's order. teacher: its answers by prompt,
    sample 0 first. systems: name -> answers by prompt. notes: one sentence for each thing that is
    left out.
    """

    ids: list[str]
    teacher: list[list[str]]
    systems: dict[str, list[list[str]]]
    notes: list[str] = field(default_factory=list)

    def clusters(self, prompts: Iterable[Prompt]) -> np.ndarray | None:
        """(n,) the cluster of each of the prompts; None where every one stands by itself. prompts:
        those whose texts are known."""
        return of_ids(clusters_by_id(self.ids, prompts), self.ids)


def line_up(teacher: Sequence[Response], systems: Mapping[str, Sequence[Response]]) -> LinedUp:
    """Bring all answers into the order of the teacher's prompts and of their sample numbers.

    A prompt without the teacher's sample 0 has no reference and is left out. Raises InputError
    where no prompt is left, or where a system answers none of them.
    """
    by_id = _by_prompt(teacher)
    ids = [i for i, samples in by_id.items() if 0 in samples]
    lined = LinedUp(ids, [[by_id[i][s] for s in sorted(by_id[i])] for i in ids], {})
    if len(ids) < len(by_id):
        lined.notes.append(
            f"{len(by_id) - len(ids)} of {len(by_id)} prompts have no sample 0 of the teacher and "
            "are left out"
        )
    if not ids:
        raise InputError(
            "the teacher's file holds no sample 0 of any prompt; expected one of each, which is "
            "the reference"
        )
    for name, responses in systems.items():
        own = _by_prompt(responses)
        lined.systems[name] = [[own[i][s] for s in sorted(own[i])] if i in own else [] for i in ids]
        answered = sum(bool(texts) for texts in lined.systems[name])
        if not answered:
            raise InputError(
                f"{name} answers none of the teacher's {len(ids)} prompts: their ids differ, such "
                f"as {next(iter(own), 'none')!r} and {ids[0]!r}; give answers to the same prompts"
            )
        if answered < len(ids):
            lined.notes.append(f"{name} has answers to {answered} of {len(ids)} prompts")
    return lined


def read_answers(path: Path, name: str, format: str = "auto") -> Imported:
    """The answers of a system. Those that begin with a summary of their own are cut to the
    answer."""
    rules = OWN_BLOCKS if "summary-cot" in name or "summary-cot" in str(path) else KEEP
    return read_stored(path, format, rules, name)


def _by_prompt(responses: Sequence[Response]) -> dict[str, dict[int, str]]:
    by_id: dict[str, dict[int, str]] = {}
    for r in finished(responses):
        by_id.setdefault(r.prompt_id, {})[r.sample_id] = r.text
    return by_id


# Stored BERTScore files as similarities to the teacher's sample 0


def stored_f1(scores: BertScores, reference: int = 0) -> list[np.ndarray]:
    """F1 of each prompt's candidates against sample `reference`, by candidate sample, without the
    pair of an answer with itself."""
    keep = (scores.ref_samples == reference) & ~scores.self_pairs
    return [
        scores.f1[_candidates(scores, keep & (scores.instances == p))]
        for p in np.unique(scores.instances)
    ]


def read_scores(
    files: Sequence[Path], teacher: str
) -> tuple[dict[str, list[np.ndarray]], list[str], str]:
    """(system -> similarities by prompt, ids of these prompts, hash code of the computation).
    Raises InputError where a file has another reference, or where the files are not of the same
    prompts and computation."""
    similarities: dict[str, list[np.ndarray]] = {}
    first: BertScores | None = None
    for path in files:
        scores = read_bertscore(path)
        if scores.ref_model != teacher:
            raise InputError(
                f"{path} has scores against {scores.ref_model!r}; expected the teacher "
                f"{teacher!r} as ref_model"
            )
        if first is None:
            first = scores
        elif scores.hashcode != first.hashcode or not np.array_equal(
            np.unique(scores.instances), np.unique(first.instances)
        ):
            raise InputError(
                f"{path} is of another computation or other prompts than {files[0]}; give "
                "scores of one run"
            )
        name = SELF if scores.alt_model == teacher else scores.alt_model
        if name in similarities:
            raise InputError(
                f"{path} has scores of {scores.alt_model!r}, as another file has; give "
                "each system once"
            )
        similarities[name] = stored_f1(scores)
    if first is None:
        return {}, [], ""
    return similarities, [str(i) for i in np.unique(first.instances)], first.hashcode


def _candidates(scores: BertScores, here: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero(here)
    return rows[np.argsort(scores.alt_samples[rows], kind="stable")]
