"""Points of bits and score: which of them are on the front, and the least bits for a score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """A program's total bits, and its score with the 95 % interval."""

    bits: int
    score: float
    low: float
    high: float


def dominated(points: Sequence[Point]) -> list[bool]:
    """Whether another point has no more bits and no lower score, and is better in one of them."""
    result, best = [False] * len(points), float("-inf")
    for bits in sorted({p.bits for p in points}):
        own = [i for i, p in enumerate(points) if p.bits == bits]
        top = max(points[i].score for i in own)
        for i in own:
            result[i] = points[i].score < top or points[i].score <= best
        best = max(best, top)
    return result


@dataclass(frozen=True)
class LeastBits:
    """value: least bits of a point at the score or better. low: least bits of one whose interval
    reaches it. high: least bits of one whose interval lies at or above it. None where none does."""

    value: int | None
    low: int | None
    high: int | None


def least_bits(points: Sequence[Sequence[Point]], levels: Sequence[float]) -> LeastBits:
    """The complexity of reaching every level. points: per program one point for each level, all of
    the same bits."""

    def least(reached: Sequence[bool]) -> int | None:
        kept = (own[0].bits for own, fits in zip(points, reached, strict=True) if fits)
        return min(kept, default=None)

    return LeastBits(
        *(
            least([_reaches(own, levels, limit) for own in points])
            for limit in ("score", "high", "low")
        )
    )


def _reaches(own: Sequence[Point], levels: Sequence[float], limit: str) -> bool:
    return all(getattr(p, limit) >= level for p, level in zip(own, levels, strict=True))
