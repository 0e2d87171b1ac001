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
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t

from veneer.statistics.comparisons import holm, p_value

LEVEL = 0.05
LEAST = 3  # prompts: below this a t test says nothing
# Why there is no verdict
FEW_PROMPTS = "few_prompts"  # fewer than LEAST have all of system, base and ceiling
NO_DISTANCE = "no_distance"  # the ceiling is not above base beyond chance
Word = Literal["equivalent", "different", "undecided"]


@dataclass(frozen=True, slots=True)
class Equivalence:
    """The outcome of the test of one system against one ceiling.

    difference: mean(system) - mean(ceiling) over n prompts, with its 90 % interval (the one that
    two one-sided tests at 5 % correspond to) in `low`, `high`. margin: in the measure's unit.
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
) -> dict[str, Equivalence]:
    """The verdict on each system's similarities (n,), in the order of base's and the
    ceiling's; NaN where a prompt has none, which leaves that prompt out of that system's test.
    All systems are one family.

    fraction: the margin as a share of the distance from base to ceiling. margin: an absolute one
    instead, in the measure's unit. equivalent: both one-sided tests reject at 5 % after Holm.
    different: they do not, and the difference is not chance. undecided: the data cannot tell, or
    the ceiling is not above base, so that there is no scale. Raises ValueError for a fraction or
    margin that is not above 0.
    """
    if not (fraction > 0 and (margin is None or margin > 0)):
        raise ValueError(
            f"a margin above 0 is needed, not {margin if margin is not None else fraction}"
        )
    b, c = np.asarray(base, float), np.asarray(ceiling, float)
    outcomes = {
        name: _tests(np.asarray(s, float), b, c, fraction, margin, seed)
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
) -> tuple[float, float, float]:
    """(margin, p of "too low", p of "too high") of one system, unadjusted; arrays (n,) of
    the same prompts."""
    d, distance = system - ceiling, ceiling - base
    if margin is not None:
        return margin, _one_sided(d + margin), _one_sided(margin - d)
    return (
        float(fraction * distance.mean()),
        _one_sided(d + fraction * distance),
        _one_sided(fraction * distance - d),
    )


def _tests(
    s: np.ndarray, b: np.ndarray, c: np.ndarray, fraction: float, margin: float | None, seed: int
) -> Equivalence:
    keep = np.isfinite(s) & np.isfinite(c) & (np.isfinite(b) if margin is None else True)
    s, b, c = s[keep], b[keep], c[keep]
    n = len(s)
    if n < LEAST:
        return _without(n, FEW_PROMPTS)
    difference, (low, high) = float((s - c).mean()), _interval(s - c)
    if margin is None and _one_sided(c - b) > LEVEL / 2:
        return _without(n, NO_DISTANCE, difference, low, high)
    width, p_low, p_high = one_sided_tests(s, b, c, fraction=fraction, margin=margin)
    p_no = p_value(s, c, seed=seed)
    return Equivalence(
        "undecided", n, difference, low, high, width, p_low, p_high, max(p_low, p_high), p_no, 1
    )


def _decided(v: Equivalence, adjusted: tuple[float, float] | None, family: int) -> Equivalence:
    if adjusted is None:
        return v
    p, q = adjusted
    word: Word = "equivalent" if p <= LEVEL else "different" if q <= LEVEL else "undecided"
    return Equivalence(
        word, v.n, v.difference, v.low, v.high, v.margin, v.p_low, v.p_high, p, q, family
    )


def _without(
    n: int,
    reason: str,
    difference: float | None = None,
    low: float | None = None,
    high: float | None = None,
) -> Equivalence:
    return Equivalence(
        "undecided", n, difference, low, high, None, None, None, None, None, 0, reason
    )


def _one_sided(x: np.ndarray) -> float:
    """p of "the mean is 0 or less", by Student's t."""
    error = x.std(ddof=1) / np.sqrt(len(x))
    if error <= 1e-15 * max(1.0, float(np.abs(x).max())):  # every prompt says the same
        return 0.0 if x.mean() > 0 else 1.0
    return float(t.sf(x.mean() / error, len(x) - 1))


def _interval(d: np.ndarray) -> tuple[float, float]:
    half = float(t.ppf(1 - LEVEL, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d)))
    return float(d.mean()) - half, float(d.mean()) + half
