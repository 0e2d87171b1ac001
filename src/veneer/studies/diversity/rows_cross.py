"""Rows of two systems: what the aligned system's sample 0 covers, and where the diversity between
base and aligned went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from veneer.embed import Embedder
from veneer.foundation.results import Measurement, join_notes
from veneer.foundation.text import tok
from veneer.measures.clusters import kept
from veneer.statistics import intervals
from veneer.studies.diversity import words
from veneer.studies.diversity.answers_table import Material
from veneer.studies.diversity.coverage import (
    KINDS,
    THRESHOLDS,
    cases,
    lexical_coverage,
    semantic_coverage,
    sentence_cases,
)
from veneer.studies.diversity.decompose import (
    REPEATED,
    Decomposition,
    PromptCosines,
    PromptSets,
    decompose,
    decompose_semantic,
)
from veneer.studies.diversity.judged import LEAST, keep
from veneer.studies.diversity.rows_own import STUDY, Vectors
from veneer.studies.diversity.settings import ALL_ANSWERS
from veneer.studies.diversity.text_measures import Remembering, cosine_matrix, mean_distance


def coverage_rows(
    material: Material, *, embedder: Embedder | None = None, seed: int = 0
) -> Iterator[Measurement]:
    """Coverage of each system's answers by the aligned sample 0, with controls; and of the aligned
    answers by that system's sample 0.

    Means over answers (ratio of sums); intervals resample prompts."""
    if "aligned" not in material.answers:
        return
    embedder = None if embedder is None else Remembering(embedder)
    for system in material.answers:
        if system == "aligned":
            continue
        for metric, covered, by in (
            ("coverage", system, "aligned"),
            ("coverage_of_aligned", "aligned", system),
        ):
            prompts = [p for p in material.shared(covered, by) if material.first(by, p) is not None]
            firsts = [material.first(by, p) or "" for p in prompts]
            covers = list(zip(prompts, firsts, _others(material, prompts, firsts), strict=True))
            sums: dict[str, list[tuple[float, int]]] = {k: [] for k in KINDS}
            for p, first, other in covers:
                prompt_cases = cases(material.texts(covered, p), first, other)
                for kind in KINDS:
                    known = [
                        x
                        for c in prompt_cases
                        if kind in c.cover
                        and (x := lexical_coverage(c.answer, c.cover[kind])) is not None
                    ]
                    sums[kind].append((sum(known), len(known)))
            yield from _coverage(
                material, f"lexical_{metric}", system, prompts, sums, None, (covered, by), seed
            )
            if embedder is not None and metric == "coverage":
                yield from _semantic(material, system, covers, embedder, seed)


def _others(
    material: Material, prompts: Sequence[str], firsts: Sequence[str]
) -> Iterator[str | None]:
    """For each prompt the text in `firsts` of the next one that is not in its cluster; None where
    all are in one."""
    ids, n = material.ids(prompts), len(prompts)
    clusters = list(prompts) if ids is None else ids.tolist()
    for i, own in enumerate(clusters):
        behind = ((i + step) % n for step in range(1, n))
        yield next((firsts[j] for j in behind if clusters[j] != own), None)


def _semantic(
    material: Material,
    system: str,
    covers: Sequence[tuple[str, str, str | None]],
    embedder: Embedder,
    seed: int,
) -> Iterator[Measurement]:
    sums: dict[float, dict[str, list[tuple[float, int]]]] = {
        t: {k: [] for k in KINDS} for t in THRESHOLDS
    }
    for p, first, other in covers:
        prompt_cases = sentence_cases(material.texts(system, p), first, other)
        listed = list(
            dict.fromkeys(
                s for case in prompt_cases for sentences in case.values() for s in sentences
            )
        )
        place = {s: i for i, s in enumerate(listed)}
        vectors = embedder.embed(listed) if listed else np.zeros((0, 1), np.float32)
        for t in THRESHOLDS:
            for kind in KINDS:
                known = [
                    semantic_coverage(
                        vectors[[place[s] for s in c["answer"]]],
                        vectors[[place[s] for s in c[kind]]],
                        t,
                    )
                    for c in prompt_cases
                    if kind in c
                ]
                sums[t][kind].append(
                    (sum(x for x in known if x is not None), sum(x is not None for x in known))
                )
    for t, some in sums.items():
        yield from _coverage(
            material,
            f"semantic_coverage_{t:g}",
            system,
            [p for p, _, _ in covers],
            some,
            embedder.id,
            (system, "aligned"),
            seed,
        )


def _coverage(
    material: Material,
    metric: str,
    system: str,
    prompts: Sequence[str],
    sums: Mapping[str, Sequence[tuple[float, int]]],
    judge: str | None,
    sides: tuple[str, str],
    seed: int,
) -> Iterator[Measurement]:
    for kind, pairs in sums.items():
        top, bottom = np.array(pairs, float).reshape(-1, 2).T
        use = bottom > 0
        if not use.any():
            continue
        ids = kept(material.ids(prompts), use)
        e = intervals.ratio_on_scale(top[use], bottom[use], 0, 1, seed=seed, clusters=ids)
        facts = {
            "answers": int(bottom.sum()),
            "covered": sides[0],
            "by": sides[1],
            "control": kind or None,
        }
        yield Measurement.estimated(
            e,
            STUDY,
            material.task,
            metric,
            system,
            judge=judge,
            split=kind or None,
            unit="share",
            note=words.coverage_note(facts),
            facts=facts,
        )


def decomposition_rows(
    material: Material,
    vectors: Mapping[str, Vectors] | None = None,
    *,
    threshold: float | None = 4.0,
    embedder: str | None = None,
    seed: int = 0,
) -> Iterator[Measurement]:
    """The drop from base to aligned in terms (decompose.py). threshold None, or no judgements of
    base: nothing is filtered, and quality control is not a term."""
    if not {"base", "aligned"} <= set(material.answers):
        return
    j = material.quality.get("base") if threshold is not None else None
    prompts, sets, cosines = [], [], []
    for p in material.shared("base", "aligned"):
        samples = sorted(material.answers["base"][p])
        good = (
            list(range(len(samples)))
            if j is None
            else keep([j.values.get(p, {}).get(s) for s in samples], threshold or 0)
        )
        base, aligned = ([tok(t) for t in material.texts(s, p)] for s in ("base", "aligned"))
        if len(good) < LEAST or len(aligned) < LEAST:
            continue
        prompts.append(p)
        sets.append(PromptSets(base, [base[i] for i in good], aligned))
        if vectors is not None:
            b, a = vectors["base"][p], vectors["aligned"][p]
            cosines.append(PromptCosines(*(_mean_cosine(x) for x in (b, b[good], a))))
    if not sets:
        return
    split = ALL_ANSWERS if j is None else material.least(threshold or 0)
    judge, ids = None if j is None else j.judge, material.ids(prompts)
    yield from _terms(
        material,
        decompose(sets, seed=seed, clusters=ids),
        "lexical_diversity",
        "1 - Jaccard",
        split,
        judge,
    )
    if vectors is not None:
        by = " + ".join(x for x in (judge, embedder) if x)
        yield from _terms(
            material,
            decompose_semantic(sets, cosines, seed=seed, clusters=ids),
            "semantic_diversity",
            "1 - cosine",
            split,
            by,
        )


def _terms(
    material: Material,
    decomposition: Decomposition,
    of: str,
    unit: str,
    split: str,
    judge: str | None,
) -> Iterator[Measurement]:
    for term, e in decomposition.terms.items():
        if term == "quality_control" and split == ALL_ANSWERS:
            continue
        facts = {}
        if decomposition.capped and term in ("aggregation", "rest", "united"):
            facts["bound"] = "most" if term == "rest" else "least"
        if term in ("aggregation", "rest"):
            facts["unions"] = "fresh"
        elif term in REPEATED:
            facts["unions"] = "repeated"
        name = "answers united by one aligned answer" if term == "united" else unit
        yield Measurement.estimated(
            e,
            STUDY,
            material.task,
            f"decomposition_{term}",
            "base",
            of=of,
            split=split,
            judge=judge,
            unit=name,
            note=join_notes(words.bound_note(facts), words.unions_note(facts), e.note),
            facts=facts,
        )


def _mean_cosine(vectors: np.ndarray) -> float:
    distance = mean_distance(cosine_matrix(vectors))
    assert distance is not None
    return 1 - distance
