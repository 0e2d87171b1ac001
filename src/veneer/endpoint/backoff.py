"""How long to wait before the next attempt."""

from __future__ import annotations

import random

MOST_ASKED = 600.0  # seconds; a server that asks for more is not waited for


def wait(attempt: int, first: float, longest: float, asked: float | None, draw: random.Random) -> float:
    """Seconds before attempt `attempt` + 1 (attempts count from 1): what the server asked for, and otherwise exponential back-off
    with half of it drawn at random, so that parallel requests do not come back together ("equal jitter", Brooker 2015, "Exponential
    backoff and jitter", AWS architecture blog)."""
    if asked is not None:
        return min(asked, MOST_ASKED) + draw.uniform(0, min(first, 1.0) / 4)
    whole = min(longest, first * 2 ** min(attempt - 1, 30))
    return whole / 2 + draw.uniform(0, whole / 2)
