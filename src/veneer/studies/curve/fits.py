"""Rows of fitted curves: which family, its exponent, scale and ceiling, and how many examples make
95 % of the gain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from veneer.foundation.results import Measurement
from veneer.measures.clusters import kept
from veneer.statistics import intervals
from veneer.statistics.crossed import Crossed
from veneer.statistics.intervals import wilson_limits
from veneer.studies.curve.families import (
    LEAST_SIZES,
    POWER,
    SATURATING,
    Fit,
    examples_to,
    families,
    fit,
    held_out,
    seed_correlation,
    told_apart,
)
from veneer.studies.curve.names import BEYOND_STYLE, FAMILY, FIT, STUDY, STYLE, TO_95, tuned
from veneer.studies.curve.outcomes import Outcomes
from veneer.studies.curve.words import examples_note, family_note, fit_note
from veneer.tasks.task import Task

POINTS = 33  # of a drawn curve
LEAST_FITTED = 3  # sizes
COLLAPSED = 1e-6  # width of an interval that says nothing


@dataclass(frozen=True)
class Measured:
    """outcomes: (seeds, m, n) of 0 and 1 by seed, size and prompt. Size 0 is base itself, the same
    for every seed. clusters: the id of each prompt (clusters.py)."""

    sizes: tuple[int, ...]
    outcomes: np.ndarray
    seed: int = 0
    clusters: np.ndarray | None = None

    @property
    def n(self) -> int:
        return self.outcomes.shape[2]

    @property
    def hits(self) -> np.ndarray:
        """(seeds, m) counts."""
        return self.outcomes.sum(2)


class Fitted:
    """All curves of one score, on its counts and on every resample of them."""

    def __init__(self, measured: Measured):
        self.measured = measured
        self.crossed = Crossed.of(measured.outcomes, measured.seed, measured.clusters)
        self._families = families(measured.sizes)
        self._fits: dict[str, Fit] = {}

    def of(self, family: str) -> Fit:
        if family not in self._fits:
            rows, trials = self.crossed.rows, self.crossed.trials
            self._fits[family] = fit(self._families[family], self.measured.sizes, rows, trials)
        return self._fits[family]

    def gain(self) -> tuple[float, float, float]:
        """The score at the greatest size less that at the least, with its limits: no narrower than
        those of the paired difference over prompts, which do not collapse where few prompts
        agree."""
        gains = (self.crossed.rows[:, -1] - self.crossed.rows[:, 0]) / self.crossed.trials
        low, high = (float(x) for x in self.crossed.limits(gains))
        first, last = (self.measured.outcomes[:, at].mean(axis=0) for at in (0, -1))
        paired = intervals.difference(
            last, first, seed=self.measured.seed, clusters=self.measured.clusters
        )
        if paired.low is not None and paired.high is not None:
            low, high = min(low, paired.low), max(high, paired.high)
        return float(gains[0]), low, high

    @property
    def has_gain(self) -> bool:
        value, low, _ = self.gain()
        return value > 0 and low > 0

    def to_95(self) -> np.ndarray:
        """(rows,) examples at 95 % of the gain, kept within the sizes that the grid spans."""
        positive = [s for s in self.measured.sizes if s > 0]
        return np.clip(examples_to(self.of(SATURATING)), min(positive) / 64, 64 * max(positive))


def measured_of(
    outcomes: Outcomes, task: Task, metric: str, sizes: Sequence[int], seed: int
) -> Measured | None:
    """The 0/1 outcomes of a metric at all sizes; None where it is measured at fewer than 3 or has
    other values. Prompts without a score in some run are left out."""
    by_size = [(s, outcomes.values(task.name, tuned(s), metric)) for s in sizes]
    known = [(s, y) for s, y in by_size if y is not None]
    if len(known) < LEAST_FITTED or not any(s > 0 for s, _ in known):
        return None
    runs = max(len(y) for _, y in known)
    stacked = np.stack([np.broadcast_to(y, (runs, y.shape[1])) for _, y in known], axis=1)
    keep = ~np.isnan(stacked).any(axis=(0, 1))
    clusters, whole = kept(outcomes.clusters(task), keep), stacked[:, :, keep]
    if whole.shape[2] < 2 or not np.all((whole == 0) | (whole == 1)):
        return None
    return Measured(tuple(s for s, _ in known), whole, seed, clusters)


def fit_rows(
    task: Task, outcomes: Outcomes, sizes: Sequence[int], seed: int
) -> Iterator[Measurement]:
    """Rows of every score that should rise: the task's headlines and the share in the style."""
    rising = [m for m, better in task.headlines.items() if better == "up"]
    style: Fitted | None = None
    for metric in (STYLE, *rising):
        measured = measured_of(outcomes, task, metric, sizes, seed)
        if measured is None:
            continue
        fitted = Fitted(measured)
        judge = next(s.judges[metric] for _, runs in outcomes.of_task(task.name) for s in runs)
        yield from curve_rows(task.name, metric, fitted, judge)
        if metric == STYLE:
            style = fitted
        elif style is not None and style.measured.outcomes.shape == measured.outcomes.shape:
            yield beyond_style(task.name, metric, fitted, style, judge)


def curve_rows(
    task: str, metric: str, fitted: Fitted, judge: str | None = None
) -> Iterator[Measurement]:
    """The family, the parameters of the published power law and of the saturating curve, and the
    examples at 95 % of the gain."""
    m = fitted.measured
    scores = held_out(m.sizes, m.hits, m.n)
    family = told_apart(scores)
    drawn = max(scores, key=lambda name: scores[name]) if scores else SATURATING
    ranked = sorted(scores.values(), reverse=True)
    positive = [i for i, s in enumerate(m.sizes) if s > 0]
    facts = {
        "family": family,
        "held_out": {name: round(value, 4) for name, value in scores.items()},
        "seeds": len(m.outcomes),
        "seed_correlation": round(seed_correlation(m.hits[:, positive], m.n), 5),
        "sizes_needed": LEAST_SIZES,
        **drawn_curve(fitted, drawn),
    }

    def row(name: str, value: float | None, low: Any, high: Any, unit: str, **more: Any):
        return Measurement(
            STUDY,
            task,
            name,
            FIT,
            value,
            m.n,
            low,
            high,
            judge=judge,
            of=metric,
            unit=unit,
            **more,
        )

    margin = ranked[0] - ranked[1] if ranked else None
    yield row(FAMILY, margin, None, None, "nats", note=family_note(facts), facts=facts)
    power, saturating = fitted.of(POWER), fitted.of(SATURATING)
    figures = {
        "curve_exponent": (power.shapes[:, 0], "1/b", POWER),
        "curve_scale": (100 * power.weights[:, 0], "percent", POWER),
        "curve_ceiling": (saturating.weights[:, 0], "share", SATURATING),
    }
    for name, (values, unit, of_family) in figures.items():
        low, high = (float(x) for x in fitted.crossed.limits(values))
        low = max(0.0, low)
        if name == "curve_ceiling":
            low, high = ceiling_limits(float(values[0]), low, high, m.n)
        about: dict[str, Any] = {"family": of_family, "seeds": len(m.outcomes)}
        limits: tuple[float | None, float | None] = (low, high)
        if high - low < COLLAPSED:
            limits, about["reason"] = (None, None), "all_equal"
        yield row(name, float(values[0]), *limits, unit, note=fit_note(about), facts=about)
    at, least, most, about = examples_to_95(fitted)
    yield row(TO_95, at, least, most, "examples", note=examples_note(about), facts=about)


def ceiling_limits(value: float, low: float, high: float, n: int) -> tuple[float, float]:
    """Limits of a share, never of width zero: where every resample agrees, Wilson's over the
    prompts."""
    if high - low < COLLAPSED:
        low, high = wilson_limits(value, n)
    return low, min(1.0, high)


def examples_to_95(
    fitted: Fitted,
) -> tuple[float | None, float | None, float | None, dict[str, Any]]:
    """Value, limits and facts. Beyond the greatest size nothing is known: the figure, or its limit,
    is then None. Below the least size it is that size at most. No limits where all resamples
    agree."""
    sizes = [s for s in fitted.measured.sizes if s > 0]
    gain = dict(zip(("gain", "gain_low", "gain_high"), fitted.gain(), strict=True))
    about: dict[str, Any] = {**gain, "family": SATURATING, "largest": max(sizes)}
    if not fitted.has_gain:
        return None, None, None, {**about, "reason": "no_gain"}
    logs = np.log(fitted.to_95())
    low, high = (float(np.exp(x)) for x in fitted.crossed.limits(logs))
    value = float(np.exp(logs[0]))
    about["at_most"] = value <= min(sizes)
    value = max(value, float(min(sizes)))
    if high - low < COLLAPSED * low and not about["at_most"]:
        reached = value <= max(sizes)
        about |= {"reason": "all_equal", "not_reached": [] if reached else ["value"]}
        return value if reached else None, None, None, about
    limits = (0.0 if low < min(sizes) else low, max(high, value))
    known = [None if x > max(sizes) else x for x in (value, *limits)]
    about["not_reached"] = [
        k for k, x in zip(("value", "low", "high"), known, strict=True) if x is None
    ]
    if known[0] is None:
        about["reason"] = "not_reached"
    return known[0], known[1], known[2], about


def beyond_style(
    task: str, metric: str, skill: Fitted, style: Fitted, judge: str | None
) -> Measurement:
    """Examples at 95 % of a skill's gain less those of the style's, resample by resample."""
    largest = max(skill.measured.sizes)
    least = min(s for s in skill.measured.sizes if s > 0)
    about: dict[str, Any] = {"largest": largest}
    value = low = high = None
    if skill.has_gain and style.has_gain:
        first, second = (np.maximum(f.to_95(), least) for f in (skill, style))
        differences = first - second
        low, high = (float(x) for x in skill.crossed.limits(differences))
        value = float(differences[0]) if first[0] <= largest else None
        high = high if value is not None and high <= largest else None
        low = min(low, float(largest))
        if value is None:
            about["reason"] = "not_reached"
    else:
        about["reason"] = "no_gain"
    return Measurement(
        STUDY,
        task,
        BEYOND_STYLE,
        FIT,
        value,
        skill.measured.n,
        low,
        high,
        judge=judge,
        of=metric,
        unit="examples",
        note=examples_note(about),
        facts=about,
    )


def drawn_curve(fitted: Fitted, family: str) -> Mapping[str, Any]:
    """The curve of a family with its band, for the page."""
    positive = [s for s in fitted.measured.sizes if s > 0]
    sizes = np.geomspace(min(positive), max(positive), POINTS)
    values = fitted.of(family).at(sizes)
    low, high = fitted.crossed.limits(values)
    return {
        "drawn": family,
        "at": [round(float(s), 3) for s in sizes],
        "curve": [round(float(p), 5) for p in values[0]],
        "low": [round(float(p), 5) for p in np.clip(low, 0, 1)],
        "high": [round(float(p), 5) for p in np.clip(high, 0, 1)],
    }
