"""Limits of a ratio of few prompts or groups."""

from __future__ import annotations

from typing import Literal

import numpy as np

from veneer.statistics.distributions import logistic, student_quantile

# "share": of numerators between 0 and their denominators; "amount": of what is never negative;
# "signed": of differences, which may be negative even where none of these is
Kind = Literal["share", "amount", "signed"]


def limits(value: float, left_out: np.ndarray, kind: Kind) -> tuple[float, float, str]:
    """(low, high, method) of a ratio of few prompts or groups, where a bootstrap has too few
    resamples to hold its level: the spread of the ratio without each one in turn (jackknife, Tukey
    1958), with Student's t. Of an amount it is that of the logarithm, because sums of what is never
    negative are skewed; of a share that of the log-odds, which are the same for the rest of the
    whole but for their sign. A prompt without which the ratio is 0 (or a share is 1) leaves no
    bound on that side but this."""
    k = len(left_out)
    q = float(student_quantile(0.975, k - 1)) * np.sqrt((k - 1) / k)

    def half(values: np.ndarray) -> float:
        return q * float(np.sqrt(np.sum((values - values.mean()) ** 2)))

    none, all_of = kind != "signed" and left_out.min() <= 0, kind == "share" and left_out.max() >= 1
    if kind == "signed" or none or all_of:
        low, high = value - half(left_out), value + half(left_out)
        low, high = (0.0 if none else low), (1.0 if all_of else high)
        if kind == "share":
            low, high = max(low, 0.0), min(high, 1.0)
        return low, high, "jackknife-t"
    if kind == "share":
        odds, by = np.log(value / (1 - value)), half(np.log(left_out / (1 - left_out)))
        low, high = (float(logistic(odds + side * by)) for side in (-1, 1))
        return low, high, "jackknife-t-logit"
    by = min(half(np.log(left_out)), 700.0)
    return value * float(np.exp(-by)), value * float(np.exp(by)), "jackknife-t-log"
