"""The wait before the next attempt."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

LONGEST_WAIT = 600.0  # seconds; a server that requests a longer wait is given up
_PARTS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_RESETS = (
    "x-ratelimit-reset",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
    "ratelimit-reset",
)


def wait(
    attempt: int, first: float, longest: float, named: float | None, draw: random.Random
) -> float:
    """Return the seconds before attempt `attempt` + 1 (attempts count from 1): those that the
    server named, otherwise exponential back-off with half of it drawn at random, so that parallel
    requests do not come back together ("equal jitter", Brooker 2015, "Exponential backoff and
    jitter", AWS architecture blog)."""
    if named is not None:
        return min(named, LONGEST_WAIT) + draw.uniform(0, min(first, 1.0) / 4)
    whole = min(longest, first * 2 ** min(attempt - 1, 30))
    return whole / 2 + draw.uniform(0, whole / 2)


def requested_seconds(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Return the seconds that a server asks to wait in the headers of its reply (names in lower
    case), or None.

    `retry-after-ms`, `retry-after` (RFC 9110, section 10.2.3: seconds or a date), and where a limit
    is used up (`x-ratelimit-remaining*` is 0) the longest of the `x-ratelimit-reset*`: seconds, a
    duration ("1m30s"), or a moment in seconds or milliseconds since 1970.
    """
    now = time.time() if now is None else now
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        if (value := headers.get(name)) is not None and (
            seconds := _seconds(value, unit, now)
        ) is not None:
            return seconds
    used_up = [
        n
        for n in _RESETS
        if (headers.get(n.replace("reset", "remaining")) or "").strip() in ("0", "0.0")
    ]
    resets = [s for n in used_up if (s := _seconds(headers.get(n) or "", 1.0, now)) is not None]
    return max(resets, default=None)


def _seconds(value: str, unit: float, now: float) -> float | None:
    """Return the seconds in a number, a duration or a date, not below 0; None for anything else."""
    value = value.strip()
    try:
        number = float(value)
    except ValueError:
        return _duration(value) if _duration(value) is not None else _until(value, now)
    if not math.isfinite(number):
        return None
    if number > 1e11:  # milliseconds since 1970
        number = number / 1000 - now
    elif number > 1e9:  # seconds since 1970
        number -= now
    else:
        number /= unit
    return max(0.0, number)


def _duration(value: str) -> float | None:
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhd])", value)
    return (
        sum(float(n) * _PARTS[u] for n, u in parts)
        if parts and "".join(n + u for n, u in parts) == value
        else None
    )


def _until(value: str, now: float) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (TypeError, ValueError):
        return None
