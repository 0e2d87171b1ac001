"""Rows that rest on judgements: helpfulness, the filter at every threshold, stances,
and what is new."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from veneer.foundation.results import Measurement, join_notes
from veneer.foundation.text import tok
from veneer.measures.clusters import kept
from veneer.statistics import intervals
from veneer.studies.diversity import judged, words
from veneer.studies.diversity.answers_table import Judgements, Material
from veneer.studies.diversity.measures import UNITS, scale
from veneer.studies.diversity.rows_own import STUDY, Vectors
from veneer.studies.diversity.text_measures import cosine_matrix, jaccard_matrix

Sums = Mapping[str, tuple[np.ndarray, np.ndarray]]


def quality_rows(material: Material, *, seed: int = 0) -> Iterator[Measurement]:
    """Mean over judged answers; where systems have unequal numbers of them, once more over the
    first k of each prompt."""
    most = {
        s: max((len(r) for r in j.values.values()), default=0) for s, j in material.quality.items()
    }
    splits: list[tuple[str | None, int]] = [(None, max(most.values(), default=0))]
    if len(set(most.values())) > 1:
        splits.append((f"first {min(most.values())} of each prompt", min(most.values())))
    for split, most_answers in splits:
        for system, j in material.quality.items():
            by_prompt = {
                p: [s for i, s in sorted(row.items())[:most_answers] if s is not None]
                for p, row in j.values.items()
            }
            by_prompt = {p: scores for p, scores in by_prompt.items() if scores}
            rows, ids = list(by_prompt.values()), material.ids(by_prompt)
            sums, counts = [sum(r) for r in rows], [len(r) for r in rows]
            e = intervals.ratio_on_scale(sums, counts, 1, 5, seed=seed, clusters=ids)
            facts = {"answers": sum(map(len, rows)), **j.facts()}
            yield Measurement.estimated(
                e,
                STUDY,
                material.task,
                material.aspect,
                system,
                judge=j.judge,
                split=split,
                unit="1..5",
                note=words.quality_note(facts),
                facts=facts,
            )


def filter_rows(
    material: Material,
    vectors: Mapping[str, Vectors] | None,
    embedder: str | None,
    *,
    seed: int = 0,
) -> Iterator[Measurement]:
    """At every threshold, of the prompts that keep two answers: diversity of the kept answers, of
    all answers to the same prompts, and their paired difference; and the share of answers kept."""
    for system, j in material.quality.items():
        if system not in material.answers:
            continue
        prompts = [p for p in material.answers[system] if p in j.values]
        scores = [
            [j.values[p].get(i) for i in sorted(material.answers[system][p])] for p in prompts
        ]
        kinds = {
            "lexical_diversity": [
                1 - jaccard_matrix([tok(t) for t in material.texts(system, p)]) for p in prompts
            ]
        }
        if vectors is not None:
            kinds["semantic_diversity"] = [1 - cosine_matrix(vectors[system][p]) for p in prompts]
        for t in judged.thresholds(scores):
            split = material.least(t)
            stay = [sum(s is not None and s >= t for s in row) for row in scores]
            known = [sum(s is not None for s in row) for row in scores]
            ids = material.ids(prompts)
            e = intervals.ratio_on_scale(stay, known, 0, 1, seed=seed, clusters=ids)
            facts = {"aspect": material.aspect, "threshold": t}
            facts |= {"kept": sum(stay), "judged": sum(known)}
            yield Measurement.estimated(
                e,
                STUDY,
                material.task,
                "kept",
                system,
                judge=j.judge,
                split=split,
                unit="share",
                note=words.kept_note(facts),
                facts=facts,
            )
            for metric, distances in kinds.items():
                judge = j.judge if metric == "lexical_diversity" else f"{j.judge} + {embedder}"
                for name, e in _filtered(metric, distances, scores, t, ids, seed):
                    yield Measurement.estimated(
                        e,
                        STUDY,
                        material.task,
                        name,
                        system,
                        judge=judge,
                        split=split,
                        unit=UNITS[metric],
                        facts={"aspect": material.aspect, "threshold": t},
                    )


def _filtered(
    metric: str,
    distances: Sequence[np.ndarray],
    scores: Sequence[Sequence[float | None]],
    threshold: float,
    clusters: np.ndarray | None,
    seed: int,
) -> Iterator[tuple[str, intervals.Estimate]]:
    """A measure of the kept answers, of all answers to the same prompts, and their paired
    difference, each under its name."""
    f = judged.filtered(distances, scores, threshold)
    yield from _effect(metric, f.kept, f.unfiltered, kept(clusters, f.prompts), seed)


def _effect(
    metric: str, good: np.ndarray, every: np.ndarray, clusters: np.ndarray | None, seed: int
) -> Iterator[tuple[str, intervals.Estimate]]:
    """A measure of the good answers and of all, one value per prompt, and their difference."""
    for name, values in ((metric, good), (f"{metric}_unfiltered", every)):
        yield name, intervals.on_scale(values, *scale(metric), seed=seed, clusters=clusters)
    effect = intervals.difference(every, good, seed=seed, clusters=clusters)
    yield f"{metric}_quality_effect", effect


def stance_rows(material: Material, *, seed: int = 0) -> Iterator[Measurement]:
    """Entropy, disagreement, both sides; labels; and how much of each system's stances the aligned
    sample 0 covers."""
    for system, j in material.stance.items():
        labels = [[s for _, s in sorted(row.items()) if s is not None] for row in j.values.values()]
        rows = [judged.stance_measures(row) for row in labels]
        for metric in ("stance_entropy", "stance_disagreement", "stance_both_sides"):
            known = {
                p: x
                for p, row in zip(j.values, rows, strict=True)
                if (x := row[metric]) is not None
            }
            e = _on_scale(material, metric, known, seed)
            yield _stance_row(material, metric, system, e, j)
        for label in judged.SAYS:
            having, all_of = [row.count(label) for row in labels], [len(row) for row in labels]
            ids = material.ids(j.values)
            e = intervals.ratio_on_scale(having, all_of, 0, 1, seed=seed, clusters=ids)
            count = f"{sum(row.count(label) for row in labels)} of {sum(map(len, labels))} answers"
            yield _stance_row(material, f"stance_{label}", system, e, j, count)
    aligned = material.stance.get("aligned")
    if aligned is None:
        return
    for system, j in material.stance.items():
        covered = {}
        for p, row in j.values.items():
            first, own_labels = (
                aligned.values.get(p, {}).get(0),
                [s for s in row.values() if s is not None],
            )
            if first is not None and (share := judged.coverage(own_labels, first)) is not None:
                covered[p] = share
        e = _on_scale(material, "stance_coverage", covered, seed)
        yield _stance_row(
            material, "stance_coverage", system, e, j, "by the aligned system's sample 0"
        )


def _on_scale(
    material: Material, metric: str, values: Mapping[str, float], seed: int
) -> intervals.Estimate:
    """values: by prompt."""
    return intervals.on_scale(
        list(values.values()), *scale(metric), seed=seed, clusters=material.ids(values)
    )


def stance_filter_rows(material: Material, *, seed: int = 0) -> Iterator[Measurement]:
    """What the quality filter does to stances: at every threshold, on the prompts where two or more
    answers with a stance reach it, entropy and disagreement of those answers, of all answers with a
    stance (`..._unfiltered`), and their paired difference (`..._quality_effect`)."""
    for system in (s for s in material.stance if s in material.quality):
        stances, quality = material.stance[system], material.quality[system]
        rows = {
            p: [(s, quality.values[p].get(i)) for i, s in sorted(row.items()) if s is not None]
            for p, row in stances.values.items()
            if p in quality.values
        }
        for t in judged.thresholds([[score for _, score in row] for row in rows.values()]):
            pairs = {
                p: (
                    [s for s, score in row if score is not None and score >= t],
                    [s for s, _ in row],
                )
                for p, row in rows.items()
            }
            pairs = {p: pair for p, pair in pairs.items() if len(pair[0]) >= judged.LEAST}
            facts = {"aspect": material.aspect, "threshold": t}
            facts |= {"answers": sum(len(good) for good, _ in pairs.values())}
            for metric, measure in judged.STANCE_SPREAD.items():
                spread = [(measure(good), measure(every)) for good, every in pairs.values()]
                good, every = np.array(spread, float).reshape(-1, 2).T
                for name, e in _effect(metric, good, every, material.ids(pairs), seed):
                    yield Measurement.estimated(
                        e,
                        STUDY,
                        material.task,
                        name,
                        system,
                        judge=f"{stances.judge} + {quality.judge}",
                        split=material.least(t),
                        unit=judged.STANCE_UNITS[metric],
                        note=join_notes(words.filtered_stances_note(facts), e.note),
                        facts=facts,
                    )


def _stance_row(
    material: Material,
    metric: str,
    system: str,
    e: intervals.Estimate,
    j: Judgements[str],
    note: str | None = None,
) -> Measurement:
    facts = j.facts()
    return Measurement.estimated(
        e,
        STUDY,
        material.task,
        metric,
        system,
        judge=j.judge,
        unit=judged.STANCE_UNITS.get(metric, "share"),
        note=join_notes(note, words.no_verdict_note(facts)),
        facts=facts or None,
    )


def new_rows(material: Material, *, seed: int = 0) -> Iterator[Measurement]:
    """What the alternative adds to the reference: the distribution of scores; topics, plain and
    weighted by helpfulness."""
    for (reference, alternative), j in material.novelty.items():
        scores = [[s for s in row.values() if s is not None] for row in j.values.values()]
        yield from _sum_rows(
            material,
            judged.score_shares(scores),
            alternative,
            reference,
            j,
            sum(map(len, scores)),
            seed,
        )
        yield from _novelty_by_quality(material, reference, alternative, j, seed)
    for (reference, alternative), k in material.topics.items():
        topics = [[t for t in row.values() if t is not None] for row in k.values.values()]
        for sums in (
            judged.topic_shares(topics, weighted=False),
            judged.topic_shares(topics, weighted=True),
            judged.shared_topics(topics, weighted=False),
            judged.shared_topics(topics, weighted=True),
            judged.mean_helpfulness(topics),
        ):
            yield from _sum_rows(
                material, sums, alternative, reference, k, sum(map(len, topics)), seed
            )


def _novelty_by_quality(
    material: Material, reference: str, alternative: str, j: Judgements[float], seed: int
) -> Iterator[Measurement]:
    """Novelty of the alternative's answers of each quality (the score rounded down): whether what
    is new is any good."""
    quality = material.quality.get(alternative)
    if quality is None:
        return
    rows = [
        [
            (new, good)
            for i, new in row.items()
            if new is not None and (good := quality.values.get(p, {}).get(i)) is not None
        ]
        for p, row in j.values.items()
    ]
    for value in sorted({int(good) for row in rows for _, good in row}):
        scores = [[new for new, good in row if int(good) == value] for row in rows]
        yield from _sum_rows(
            material,
            judged.score_shares(scores),
            alternative,
            reference,
            j,
            sum(map(len, scores)),
            seed,
            {"aspect": material.aspect, "score": value, "quality_judge": quality.judge},
        )


def _sum_rows(
    material: Material,
    sums: Sums,
    alternative: str,
    reference: str,
    j: Judgements,
    answers: int,
    seed: int,
    quality: Mapping[str, Any] | None = None,
) -> Iterator[Measurement]:
    """quality: of the answers, where they are those of one score only."""
    split = f"against {reference}"
    judge = j.judge
    if quality:
        split = f"{split}, {quality['aspect']}={quality['score']}"
        judge = f"{judge} + {quality['quality_judge']}"
    for metric, (top, bottom) in sums.items():
        use = bottom > 0
        ids = kept(material.ids(j.values), use)
        least, most = intervals.SCALES.get(_unit(metric), (0, 1))
        e = intervals.ratio_on_scale(top[use], bottom[use], least, most, seed=seed, clusters=ids)
        facts = {"answers": answers, "reference": reference, "alternative": alternative}
        facts |= {} if quality else j.facts()
        facts |= quality or {}
        if "share" in _unit(metric):
            facts |= {"count": float(top.sum()), "total": float(bottom.sum())}
        yield Measurement.estimated(
            e,
            STUDY,
            material.task,
            metric,
            alternative,
            judge=judge,
            split=split,
            unit=_unit(metric),
            note=words.added_note(facts),
            facts=facts,
        )


def _unit(metric: str) -> str:
    if metric == "novelty" or metric.startswith("topic_helpfulness"):
        return "1..5"
    if metric.startswith("topics_of_"):
        return f"share of topics in {metric.removeprefix('topics_of_')[0]}"
    return "share of answers" if metric.startswith("novelty") else "share of topics"
