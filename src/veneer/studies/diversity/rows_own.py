"""Rows of each system by itself, and how far the other systems go from base's diversity to the
aligned model's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from veneer.foundation.results import Measurement
from veneer.measures.clusters import kept
from veneer.statistics import intervals
from veneer.studies.diversity import words
from veneer.studies.diversity.answers_table import Material
from veneer.studies.diversity.measures import MATCHED_WORDS, measures, scale, table, unit

STUDY = "diversity"
Vectors = Mapping[str, np.ndarray]  # prompt -> (n, d), in the order of the samples
PORTIONS = (
    "lexical_diversity",
    "lexical_diversity_nonempty",
    "lexical_diversity_matched",
    "semantic_diversity",
)
# system -> metric -> one value per prompt of the system
MetricValues = dict[str, dict[str, np.ndarray]]


def measured(
    material: Material,
    vectors: Mapping[str, Vectors] | None = None,
    orders: Sequence[float] = (1.0,),
) -> tuple[MetricValues, dict[str, list[str]]]:
    """Every measure of every system, prompt by prompt; and the prompts that the values
    belong to."""
    by_system: MetricValues = {}
    prompts = {}
    for system, answers in material.answers.items():
        prompts[system] = list(answers)
        own = None if vectors is None else vectors[system]
        by_system[system] = table(
            [
                measures(material.texts(system, p), None if own is None else own[p], orders)
                for p in answers
            ]
        )
    return by_system, prompts


def own_rows(
    material: Material,
    by_system: MetricValues,
    prompts: Mapping[str, Sequence[str]],
    *,
    embedder: str | None = None,
    seed: int = 0,
) -> Iterator[Measurement]:
    """One row per system and measure; then the portion of the way from base to aligned that
    every other system goes, on the prompts where all three have a value."""
    for system, metrics in by_system.items():
        samples = _samples(material, system)
        for metric, values in metrics.items():
            has = ~np.isnan(values)
            known, ids = values[has], kept(material.ids(prompts[system]), has)
            if metric.startswith("vendi"):
                answers = max(map(len, material.answers[system].values()))
                e = intervals.on_scale(known, 1, answers, seed=seed, clusters=ids)
            elif metric == "words":
                e = intervals.mean(known, seed=seed, clusters=ids, share=False)
            else:
                e = intervals.on_scale(known, *scale(metric), seed=seed, clusters=ids)
            facts: dict[str, Any] = {"prompts": len(known)}
            if metric == "lexical_diversity":
                facts["samples"] = samples
            if metric.endswith("matched"):
                facts["least_words"] = MATCHED_WORDS
            if metric.startswith(("distinct", "self_bleu")) or metric.endswith("nonempty"):
                facts["least_words"] = 1
            yield Measurement.estimated(
                e,
                STUDY,
                material.task,
                metric,
                system,
                unit=unit(metric),
                judge=_judge(metric, embedder),
                note=words.samples_note(facts),
                facts=facts,
            )
    if not {"base", "aligned"} <= set(by_system):
        return
    place = {s: {p: i for i, p in enumerate(ids)} for s, ids in prompts.items()}
    for system in by_system:
        if system in ("base", "aligned"):
            continue
        for metric in PORTIONS:
            if not all(metric in by_system[s] for s in (system, "base", "aligned")):
                continue
            common = material.shared("base", "aligned", system)
            three = np.array(
                [
                    [by_system[s][metric][place[s][p]] for p in common]
                    for s in (system, "base", "aligned")
                ]
            )
            has = ~np.isnan(three.reshape(3, -1)).any(0)
            ids = kept(material.ids(common), has)
            e = intervals.portion(*three.reshape(3, -1)[:, has], seed=seed, clusters=ids)
            yield Measurement.estimated(
                e,
                STUDY,
                material.task,
                "portion",
                system,
                of=metric,
                judge=_judge(metric, embedder),
            )


def _samples(material: Material, system: str) -> str:
    sizes = sorted({len(row) for row in material.answers[system].values()})
    return str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}" if sizes else "0"


def _judge(metric: str, embedder: str | None) -> str | None:
    return embedder if "semantic" in metric else None
