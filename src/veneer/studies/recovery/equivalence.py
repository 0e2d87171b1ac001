"""Whether a system is as similar to the teacher as the ceiling is: an equivalence test with a
margin that is fixed beforehand.

Overlapping intervals do not show it. Two one-sided tests (Schuirmann 1987, J.
Pharmacokinetics and Biopharmaceutics 15) ask whether the paired difference to the ceiling lies
within a margin. The margin is by default a tenth of the distance from base to ceiling; since that
distance is itself estimated, each one-sided test is of one linear contrast of the three systems on
the same prompts, as for any margin that is a share of a reference (Hauschke, Kieser & Hothorn 1999,
Biometrical J. 41), so its level needs no known distance:

    too low:  mean(s - c + f (c - b)) <= 0        too high:  mean(s - c - f (c - b)) >= 0

s: system, c: ceiling, b: base, f: the fraction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from veneer.measures.clusters import kept
from veneer.statistics import bootstrap, intervals
from veneer.statistics.comparisons import holm, p_value
from veneer.statistics.distributions import student_above, student_quantile
from veneer.statistics.intervals import Estimate

LEVEL = 0.05
LEAST = 3  # prompts, or clusters of them: below this a t test says nothing
# Why there is no verdict
FEW_PROMPTS = (
    "few_prompts"  # fewer than LEAST (or their clusters) have all of system, base and ceiling
)
NO_DISTANCE = "no_distance"  # the ceiling is not above base beyond chance
Word = Literal["equivalent", "different", "undecided"]


@dataclass(frozen=True, slots=True)
class Equivalence:
    """The outcome of the test of one system against one ceiling.

    difference: mean(system) - mean(ceiling) over n prompts, with its 90 % interval (the one that
    two one-sided tests at 5 % correspond to) in `low`, `high`. estimate: the same with its 95 %
    interval, which a row shows. margin: in the measure's unit.
    p_low, p_high: of "too low" and of "too high". p: the larger of both, after Holm over `family`
    systems. p_difference: two-sided, of no difference at all, after Holm. reason: why there is no
    verdict, FEW_PROMPTS or NO_DISTANCE.
    """

    word: Word
    n: int
    difference: float | None
    low: float | None
    high: float | None
    margin: float | None
    p_low: float | None
    p_high: float | None
    p: float | None
    p_difference: float | None
    family: int
    estimate: Estimate
    reason: str | None = None

    @property
    def side(self) -> str | None:
        """Where a system that differs stands, "below" or "above" the ceiling."""
        if self.word != "different":
            return None
        return "below" if (self.difference or 0) < 0 else "above"

    @property
    def facts(self) -> dict[str, Any]:
        """The verdict as the facts of a row."""
        if self.reason is not None:
            return {"verdict": self.word, "verdict_reason": self.reason, "prompts": self.n}
        names = ("margin", "p_low", "p_high", "p", "p_difference", "family")
        return {
            "verdict": self.word,
            "side": self.side,
            **{name: getattr(self, name) for name in names},
        }


def equivalence(
    systems: Mapping[str, ArrayLike],
    base: ArrayLike,
    ceiling: ArrayLike,
    *,
    fraction: float = 0.1,
    margin: float | None = None,
    seed: int = 0,
    clusters: np.ndarray | None = None,
) -> dict[str, Equivalence]:
    """The verdict on each system's similarities (n,), in the order of base's and the
    ceiling's; NaN where a prompt has none, which leaves that prompt out of that system's test.
    All systems are one family.

    fraction: the margin as a share of the distance from base to ceiling. margin: an absolute one
    instead, in the measure's unit. clusters: (n,) one id per prompt; prompts of one cluster count
    as one where the tests weigh chance. equivalent: both one-sided tests reject at 5 % after Holm.
    different: they do not, and the difference is not chance, by its p value after Holm and by its
    95 % interval. undecided: the data cannot tell, or
    the ceiling is not above base, so that there is no scale. Raises ValueError for a fraction or
    margin that is not above 0.
    """
    if not (fraction > 0 and (margin is None or margin > 0)):
        raise ValueError(
            f"a margin above 0 is needed, not {margin if margin is not None else fraction}"
        )
    b, c = np.asarray(base, float), np.asarray(ceiling, float)
    outcomes = {
        name: _tests(np.asarray(s, float), b, c, fraction, margin, seed, clusters)
        for name, s in systems.items()
    }
    tested = {
        name: v for name, v in outcomes.items() if v.p is not None and v.p_difference is not None
    }
    two = holm([max(v.p_low or 0.0, v.p_high or 0.0) for v in tested.values()])
    no_difference = holm([v.p_difference or 0.0 for v in tested.values()])
    adjusted = {name: (p, q) for name, p, q in zip(tested, two, no_difference, strict=True)}
    return {name: _decided(v, adjusted.get(name), len(tested)) for name, v in outcomes.items()}


def one_sided_tests(
    system: np.ndarray,
    base: np.ndarray,
    ceiling: np.ndarray,
    *,
    fraction: float = 0.1,
    margin: float | None = None,
    clusters: np.ndarray | None = None,
) -> tuple[float, float, float]:
    """(margin, p of "too low", p of "too high") of one system, unadjusted; arrays (n,) of
    the same prompts."""
    d, distance = system - ceiling, ceiling - base
    if margin is not None:
        return margin, _one_sided(d + margin, clusters), _one_sided(margin - d, clusters)
    return (
        float(fraction * distance.mean()),
        _one_sided(d + fraction * distance, clusters),
        _one_sided(fraction * distance - d, clusters),
    )


def _tests(
    s: np.ndarray,
    b: np.ndarray,
    c: np.ndarray,
    fraction: float,
    margin: float | None,
    seed: int,
    clusters: np.ndarray | None,
) -> Equivalence:
    """The outcome before Holm's adjustment, undecided."""
    keep = np.isfinite(s) & np.isfinite(c) & (np.isfinite(b) if margin is None else True)
    s, b, c, ids = s[keep], b[keep], c[keep], kept(clusters, keep)
    n, estimate = len(s), intervals.difference(s, c, seed=seed, clusters=ids)
    none = Equivalence(
        "undecided", n, None, None, None, None, None, None, None, None, 0, estimate, FEW_PROMPTS
    )
    if bootstrap.count_groups(n, ids) < LEAST:
        return none
    low, high = _interval(s - c, ids)
    known = replace(none, difference=float((s - c).mean()), low=low, high=high)
    if margin is None and _one_sided(c - b, ids) > LEVEL / 2:
        return replace(known, reason=NO_DISTANCE)
    width, p_low, p_high = one_sided_tests(s, b, c, fraction=fraction, margin=margin, clusters=ids)
    return replace(
        known,
        margin=width,
        p_low=p_low,
        p_high=p_high,
        p=max(p_low, p_high),
        p_difference=p_value(s, c, seed=seed, clusters=ids),
        family=1,
        reason=None,
    )


def _decided(v: Equivalence, adjusted: tuple[float, float] | None, family: int) -> Equivalence:
    """The verdict, by p values after Holm's adjustment over `family` systems."""
    if adjusted is None:
        return v
    p, q = adjusted
    low, high = v.estimate.low, v.estimate.high
    apart = low is not None and high is not None and not low <= 0 <= high
    different = q <= LEVEL and apart
    word: Word = "equivalent" if p <= LEVEL else "different" if different else "undecided"
    return replace(v, word=word, p=p, p_difference=q, family=family)


def _error(x: np.ndarray, clusters: np.ndarray | None) -> tuple[float, int]:
    """(standard error of the mean, degrees of freedom). In clusters from the spread of each
    cluster's sum about its share (Liang & Zeger 1986, Biometrika 73), which is that of a mean of
    independent prompts where every cluster is one prompt."""
    _, group = np.unique(np.arange(len(x)) if clusters is None else clusters, return_inverse=True)
    sums = np.bincount(group, x - x.mean())
    k = len(sums)
    return float(np.sqrt(k / (k - 1) * (sums @ sums)) / len(x)), k - 1


def _one_sided(x: np.ndarray, clusters: np.ndarray | None) -> float:
    """p of "the mean is 0 or less", by Student's t; where every prompt has the same value, by the
    sign test of the groups, since a spread of 0 would make the least n certain."""
    error, freedom = _error(x, clusters)
    if error <= 1e-15 * max(1.0, float(np.abs(x).max())):
        return float(0.5 ** (freedom + 1)) if x.mean() > 0 else 1.0
    return float(student_above(x.mean() / error, freedom))


def _interval(d: np.ndarray, clusters: np.ndarray | None) -> tuple[float, float]:
    error, freedom = _error(d, clusters)
    half = float(student_quantile(1 - LEVEL, freedom)) * error
    return float(d.mean()) - half, float(d.mean()) + half
