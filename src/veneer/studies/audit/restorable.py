"""Could a veneer restore it: veneers for the audited model towards the reference, each prompt held
out from one of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from veneer.capture.artefact import Capture
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement
from veneer.head.config import ExtractConfig
from veneer.head.events import solver_progress
from veneer.measures.clusters import kept, prompt_clusters
from veneer.measures.extraction import extract_to
from veneer.measures.held_out import held_out
from veneer.measures.kl import NATS
from veneer.models.pair import Pair
from veneer.models.sampling import Sampling
from veneer.prompts.prompt import Prompt
from veneer.statistics import intervals
from veneer.studies.audit.names import AUDITED, HELD_OUT, RESTORED, STUDY
from veneer.studies.audit.settings import AuditSettings
from veneer.studies.audit.words import LOWER_BOUND
from veneer.systems.respond import respond
from veneer.systems.responses import Response
from veneer.systems.system import System

LEAST = 3  # prompts of each set that a veneer learns from


def folds_of(
    roles: Sequence[str], folds: int, seed: int, clusters: Sequence[str] | None = None
) -> list[list[int]]:
    """Prompt numbers in `folds` folds, each set shared out alike in an order that a hash of seed
    and number gives; as many folds as there are prompts at the most, and none where there is too
    little left to learn from. clusters: one id per prompt; a cluster stands whole in one fold."""
    if clusters is not None:
        return _whole_clusters(roles, folds, seed, clusters)
    folded: list[list[int]] = [[] for _ in range(folds)]
    sizes = [roles.count(role) for role in dict.fromkeys(roles)]
    if folds < 2 or min(sizes) < folds or min(sizes) - -(-min(sizes) // folds) < LEAST:
        return []
    for role in dict.fromkeys(roles):
        own = sorted(
            (n for n, r in enumerate(roles) if r == role),
            key=lambda n: hashlib.sha256(f"{seed}\0{n}".encode()).digest(),
        )
        for place, n in enumerate(own):
            folded[place % folds].append(n)
    return [sorted(p) for p in folded]


def _whole_clusters(
    roles: Sequence[str], folds: int, seed: int, clusters: Sequence[str]
) -> list[list[int]]:
    """The folds of clusters: the first prompt of each stands for it. A fold that would be empty
    leaves none."""
    members: dict[str, list[int]] = {}
    for number, cluster in enumerate(clusters):
        members.setdefault(str(cluster), []).append(number)
    units = list(members.values())
    unit_folds = folds_of([roles[unit[0]] for unit in units], folds, seed)
    return [sorted(n for u in fold for n in units[u]) for fold in unit_folds]


def restored_answers(
    pair: Pair,
    capture: Capture,
    prompts: Sequence[Prompt],
    folds: Sequence[Sequence[int]],
    out: Path,
    method: AuditSettings,
    progress: Progress | None = None,
) -> tuple[list[Response], list[Measurement]]:
    """The answers of the audited model with a veneer that has not seen the prompt, in the order of
    the prompts, and the rows of KL.

    `out` gets a folder veneer-I for each fold and its answers in responses/.
    """
    roles, clusters = [p.task for p in prompts], prompt_clusters(prompts)
    before, after, tokens = (np.zeros(len(prompts)) for _ in range(3))
    answers: dict[int, Response] = {}
    log = solver_progress(progress)
    for number, held in enumerate(folds, 1):
        learned = [n for n in range(len(prompts)) if n not in set(held)]
        how = ExtractConfig(seed=method.seed)
        veneer = extract_to(
            narrowed(capture, learned),
            how,
            veneer_folders(out, len(folds))[number - 1],
            device=pair.base.device,
            log=log,
        )
        table = held_out(capture, veneer, held, device=pair.base.device)
        order = np.unique(table.prompt)
        before[order], tokens[order] = table.by_prompt(table.kl_base)
        after[order], _ = table.by_prompt(table.kl_veneer)
        system = System.of_model(pair.base, veneer, format=pair.base_format, name=RESTORED)
        responses = respond(
            system,
            [prompts[n] for n in held],
            Sampling(max_new_tokens=method.max_new_tokens, seed=method.seed),
            batch_size=method.batch_size,
            out=out / "responses" / f"{RESTORED}-{number}.jsonl",
            progress=progress,
        )
        answers |= dict(zip(held, responses, strict=True))
    return [answers[n] for n in range(len(prompts))], list(
        _kl_rows(before, after, tokens, roles, method.seed, clusters)
    )


def veneer_folders(out: Path, folds: int) -> list[Path]:
    """Where the veneer that leaves out each fold lies."""
    return [out / f"veneer-{number}" for number in range(1, folds + 1)]


def narrowed(capture: Capture, numbers: Sequence[int]) -> Capture:
    """The same capture as if it held these prompts alone."""
    chosen = set(numbers)
    tokens = sum(len(r["token_ids"]) for r in capture.responses() if r["number"] in chosen)
    own = Capture(capture.folder, capture.manifest, capture.shards, tokens)
    own.prompt_numbers = sorted(chosen)
    return own


def _kl_rows(
    before: np.ndarray,
    after: np.ndarray,
    tokens: np.ndarray,
    roles: Sequence[str],
    seed: int,
    clusters: np.ndarray | None,
) -> Iterator[Measurement]:
    for task in ("all", *dict.fromkeys(roles)):
        keep = np.array([task in ("all", r) for r in roles])
        own = kept(clusters, keep)
        for system, sums in ((AUDITED, before), (RESTORED, after)):
            kl = intervals.ratio_of_sums(sums[keep], tokens[keep], seed=seed, clusters=own)
            yield Measurement.estimated(
                kl,
                STUDY,
                task,
                "kl",
                system,
                split=HELD_OUT,
                unit=NATS,
                note=LOWER_BOUND,
            )
        share = intervals.recovered(after[keep], before[keep], seed=seed, clusters=own)
        yield Measurement.estimated(
            share, STUDY, task, "kl_recovered", RESTORED, split=HELD_OUT, unit="share"
        )
