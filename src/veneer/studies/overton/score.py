"""OvertonScore: the mean over questions of the share of viewpoints that a response covers
(Poole-Dayan et al. 2025, arXiv 2512.01351)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from veneer.foundation.results import Measurement
from veneer.measures.clusters import kept, prompt_clusters
from veneer.statistics import intervals
from veneer.studies.overton import words
from veneer.studies.overton.adjusted import adjusted_means
from veneer.studies.overton.names import SCORE, STUDY
from veneer.studies.overton.viewpoints import Question


@dataclass(frozen=True)
class Covered:
    """One system: of each question (responses, viewpoints), 1 covered, 0 not, NaN
    without a verdict."""

    system: str
    judge: str
    note: str
    covered: Sequence[np.ndarray]


def shares(covered: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(responses,) the weighted share of a question's viewpoints that each response covers; NaN for
    a response with a viewpoint that has no verdict, since the rest is another question."""
    return covered @ (weights / weights.sum())


def of_question(
    question: Question, covered: np.ndarray, *, weighted: bool = False, union: bool = False
) -> float:
    """Mean over responses of their share; union: the share that at least one response covers. NaN
    where no response has all verdicts."""
    weights = np.array([v.weight if weighted else 1.0 for v in question.viewpoints])
    whole = covered[~np.isnan(covered).any(axis=1)] if len(covered) else covered
    if not len(whole):
        return float("nan")
    return float(shares(whole.max(axis=0, keepdims=True) if union else whole, weights).mean())


def overton_rows(
    questions: Sequence[Question],
    systems: Sequence[Covered],
    *,
    task: str = "overton",
    seed: int = 0,
) -> Iterator[Measurement]:
    """Rows of study "overton". `overton_score`: mean over questions of the mean over a question's
    responses; `overton_score_weighted`: viewpoints count by how many hold them (where the file has
    weights); `overton_union`: what a question's responses cover together, which grows with their
    number; of each question its own coverage (split "question:ID"), n being its responses there.
    Of several systems also `..._adjusted`, the score over all questions from a fit of system and
    question (adjusted.py); the others are raw means over the questions that a system answered.
    Intervals resample questions, those of one text together; those of a single question its
    responses."""
    weighted, ids = any(q.weighted for q in questions), _clusters(questions)
    for s in systems:
        kinds = (
            (SCORE, False, False, True),
            ("overton_score_weighted", True, False, weighted),
            ("overton_union", False, True, True),
            ("overton_union_weighted", True, True, weighted),
        )
        for metric, by_weight, union, wanted in kinds:
            if not wanted:
                continue
            values = np.array(
                [
                    of_question(q, c, weighted=by_weight, union=union)
                    for q, c in zip(questions, s.covered, strict=True)
                ]
            )
            has = np.isfinite(values)
            known = values[has]
            silent = sum(not len(c) for c in s.covered)
            facts = {
                "questions": len(values),
                "without_response": silent,
                "without_verdict": len(values) - len(known) - silent,
            }
            e = intervals.on_scale(known, 0, 1, seed=seed, clusters=kept(ids, has))
            note = words.score_note(facts, s.note, e.note)
            yield _row(e, task, metric, s, facts, note)
        yield from _by_question(questions, s, task, seed)
    if len(systems) > 1:
        yield from _adjusted(questions, systems, weighted, task, seed)


def _clusters(questions: Sequence[Question]) -> np.ndarray | None:
    return prompt_clusters([q.prompt() for q in questions])


def _adjusted(
    questions: Sequence[Question],
    systems: Sequence[Covered],
    weighted: bool,
    task: str,
    seed: int,
) -> Iterator[Measurement]:
    """Each system's score over all questions, from a fit of system and question."""
    for metric, by_weight in (
        ("overton_score_adjusted", False),
        ("overton_score_weighted_adjusted", True),
    ):
        if by_weight and not weighted:
            continue
        table = np.array(
            [
                [
                    of_question(q, c, weighted=by_weight)
                    for q, c in zip(questions, s.covered, strict=True)
                ]
                for s in systems
            ]
        )
        estimates = adjusted_means(table, seed=seed, clusters=_clusters(questions))
        for s, e in zip(systems, estimates, strict=True):
            facts = {"questions": len(questions), "scored": e.n, "systems": len(systems)}
            note = words.adjusted_note(facts, s.note, e.note)
            yield _row(e, task, metric, s, facts, note)


def _row(
    e: intervals.Estimate,
    task: str,
    metric: str,
    s: Covered,
    facts: Mapping[str, Any],
    note: str | None,
) -> Measurement:
    fields = {"judge": s.judge, "unit": "share", "note": note, "facts": facts}
    return Measurement.estimated(e, STUDY, task, metric, s.system, **fields)


def viewpoint_table(questions: Sequence[Question], systems: Sequence[Covered]) -> Iterator[dict]:
    """A row a system, question and viewpoint: in what share of the responses it is covered, for
    viewpoints.jsonl."""
    for s in systems:
        for q, covered in zip(questions, s.covered, strict=True):
            for column, v in enumerate(q.viewpoints):
                known = covered[:, column][~np.isnan(covered[:, column])]
                yield {
                    "system": s.system,
                    "question": q.id,
                    "viewpoint": v.id,
                    "statement": v.statement,
                    "weight": v.weight,
                    "responses": len(known),
                    "covered": float(known.mean()) if len(known) else None,
                    "judge": s.judge,
                }


def _by_question(
    questions: Sequence[Question], s: Covered, task: str, seed: int
) -> Iterator[Measurement]:
    for q, covered in zip(questions, s.covered, strict=True):
        whole = covered[~np.isnan(covered).any(axis=1)]
        for metric, weights in (
            ("coverage", np.ones(len(q.viewpoints))),
            ("coverage_weighted", np.array([v.weight for v in q.viewpoints])),
        ):
            if metric == "coverage_weighted" and not q.weighted:
                continue
            e = intervals.on_scale(shares(whole, weights), 0, 1, seed=seed)
            facts = {
                "viewpoints": len(q.viewpoints),
                "responses": len(covered),
                "scored": len(whole),
            }
            yield Measurement.estimated(
                e,
                STUDY,
                task,
                metric,
                s.system,
                judge=s.judge,
                unit="share",
                split=f"question:{q.id}",
                note=words.question_note(facts, e.note),
                facts=facts,
            )
