"""Coverage adjusted for the questions that a system answered, as in the leaderboard of OvertonBench
(Poole-Dayan et al., arXiv 2512.01351).

The least-squares fit of coverage by system and question, without interaction, gives each system the
mean that it would have over all questions. Where every system answers every question it is the
plain mean; where some answers are missing, a system that answered the hard questions only is not
put below the others for that.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from veneer.statistics import bootstrap, intervals, jackknife
from veneer.statistics.intervals import Estimate

RESAMPLES = 2000
UNCONNECTED = "the systems have too few questions in common"


def adjusted_means(
    table: np.ndarray, *, seed: int = 0, clusters: np.ndarray | None = None
) -> list[Estimate]:
    """One estimate per system of a (systems, questions) table, NaN where a system has no value;
    intervals resample questions, or whole clusters of them (clusters: one id per question). n: the
    questions that the system has a value for. No value where
    the questions do not connect all systems."""
    scored = np.isfinite(table).any(axis=0)
    table, ids = table[:, scored], np.arange(int(scored.sum()))
    if clusters is not None:
        ids = np.unique(clusters[scored], return_inverse=True)[1]
    known = np.isfinite(table)
    counts = known.sum(axis=1)
    questions, groups = table.shape[1], len(np.unique(ids))
    values = _fit(table, np.ones((1, questions)))[0]
    if not np.isfinite(values).all():
        return [Estimate(None, None, None, int(n), "none", UNCONNECTED) for n in counts]
    if groups < 2:
        note = "one question has no interval"
        return [
            Estimate(float(v), None, None, int(n), "none", note)
            for v, n in zip(values, counts, strict=True)
        ]
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(groups, np.full(groups, 1 / groups), RESAMPLES)
    drawn = _fit(table, weights[:, ids].astype(float))
    left = _fit(table, (1.0 - np.eye(groups))[:, ids])
    return [
        _estimate(float(v), int(n), drawn[:, s], left[:, s], groups)
        for s, (v, n) in enumerate(zip(values, counts, strict=True))
    ]


def _estimate(value: float, n: int, drawn: np.ndarray, left: np.ndarray, groups: int) -> Estimate:
    drawn, left = drawn[np.isfinite(drawn)], left[np.isfinite(left)]
    if len(left) < 2 or len(drawn) < RESAMPLES // 2:
        return Estimate(value, None, None, n, "none", "too few questions for an interval")
    if np.ptp(drawn) <= 1e-12:
        # as the plain mean of so many equal scores
        return replace(intervals.on_scale(np.full(groups, value), 0, 1), value=value, n=n)
    if groups < bootstrap.LEAST_FOR_BCA:
        if len(left) < groups:  # without one of them the systems have too few in common
            return Estimate(value, None, None, n, "none", "too few questions for an interval")
        low, high, method = jackknife.limits(value, left, "share" if 0 < value < 1 else "signed")
    else:
        low, high, method = bootstrap.limits(value, drawn, left)
    return Estimate(value, low, high, n, method)


def _fit(table: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(R, systems) adjusted means under weights (R, questions); NaN where the questions of a
    resample do not connect the systems."""
    known = np.isfinite(table).astype(float)  # (S, Q)
    y = np.where(known > 0, table, 0.0)
    present = known.sum(axis=0)
    # the question's effect is taken out: each cell less the mean of its question's cells
    inner = np.einsum("sq,tq->qst", known, known) / present[:, None, None]
    inner = np.einsum("sq,st->qst", known, np.eye(len(table))) - inner
    sides = y - known * (y.sum(axis=0) / present)
    left = np.einsum("rq,qst->rst", weights, inner)
    right = np.einsum("rq,sq->rs", weights, sides)
    effects = np.einsum("rst,rt->rs", np.linalg.pinv(left, hermitian=True), right)
    of_question = (y.sum(axis=0) - effects @ known) / present  # (R, Q)
    level = (weights * of_question).sum(axis=1) / weights.sum(axis=1)
    connected = np.linalg.matrix_rank(left, hermitian=True) == len(table) - 1
    return np.where(connected[:, None], effects + level[:, None], np.nan)
