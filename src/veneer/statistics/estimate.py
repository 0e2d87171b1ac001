"""A figure with its interval."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from veneer.statistics.distributions import normal_quantile
from veneer.statistics.reasons import Reason

Z = float(normal_quantile(0.975))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval; None where undefined, and `reason` then says why. n: number
    of prompts. method: the method of the interval. note: the reason in words."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    method: str
    note: str | None = None
    reason: Reason | None = None

    def __post_init__(self) -> None:
        if self.note is None and self.reason is not None:
            object.__setattr__(self, "note", self.reason.text)


def nothing(method: str) -> Estimate:
    return Estimate(None, None, None, 0, method, reason=Reason("no_prompts"))


def within(e: Estimate, least: float, most: float) -> Estimate:
    """The estimate with limits between `least` and `most`."""
    if e.low is None or e.high is None:
        return e
    return replace(e, low=max(e.low, least), high=min(e.high, most))


def wilson_limits(p: float, n: float, z: float = Z) -> tuple[float, float]:
    """The limits of a share p of n, which may be an effective sample size."""
    centre, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low, high = (centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)
    return (0.0 if p == 0 else min(float(low), p)), (1.0 if p == 1 else max(float(high), p))
