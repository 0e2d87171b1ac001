"""A transfer study's rows arranged for reading: which headline leads on each task, and where
a system stands."""

from __future__ import annotations

from collections.abc import Iterable

from veneer.foundation.results import Measurement

SHIFTED = "shifted-"
ORDER = (
    "base",
    SHIFTED,
    "baked",
    "veneer",
    "aligned",
    "small-base",
    "small-veneer",
    "small-aligned",
)


def first_headlines(rows: Iterable[Measurement]) -> dict[str, str]:
    """task -> its first headline. A headline is what differences and portions are of; a task
    without any leads with its first metric."""
    of: dict[str, str] = {}
    other: dict[str, str] = {}
    for r in rows:
        if r.study != "measure" or r.split != "test":
            continue
        if r.of is not None:
            of.setdefault(r.task, r.of)
        elif r.metric not in ("empty_rate", "unfinished_rate"):
            other.setdefault(r.task, r.metric)
    return {task: of.get(task, other[task]) for task in other}


def order(systems: Iterable[str]) -> list[str]:
    """The large base, what was made of it, the large aligned model, and the small models; shifted
    systems as they were asked for."""
    known = list(dict.fromkeys(systems))
    return sorted(
        known,
        key=lambda s: (
            next(
                (i for i, o in enumerate(ORDER) if s == o or (o == SHIFTED and s.startswith(o))),
                len(ORDER),
            ),
            known.index(s),
        ),
    )


def constant(system: str) -> float | None:
    """The alpha of a system whose shift is the same at all positions; None for a schedule,
    or another system."""
    try:
        return float(system.removeprefix(SHIFTED)) if system.startswith(SHIFTED) else None
    except ValueError:
        return None
