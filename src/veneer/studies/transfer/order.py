"""A transfer study's rows arranged for reading: which headline leads on each task, and where
a system stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from veneer.foundation.results import Measurement
from veneer.foundation.system_id import SystemId
from veneer.studies.transfer.names import REFERENCES, SHIFTED

# kinds
ORDER = (
    "base",
    SHIFTED,
    "baked",
    "veneer",
    "aligned",
    *REFERENCES,
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
        elif r.metric not in ("empty_rate", "unfinished_rate", "well_formed", "answer_nll"):
            other.setdefault(r.task, r.metric)
    return {task: of.get(task, other[task]) for task in other}


def order(systems: Mapping[str, SystemId]) -> list[str]:
    """The large base, what is made of it, the large aligned model, and the small models; shifted
    systems in the order of --alphas. systems: name -> what it is."""
    names = list(systems)
    ranks = {kind: i for i, kind in enumerate(ORDER)}
    return sorted(names, key=lambda s: (ranks.get(systems[s].kind, len(ORDER)), names.index(s)))
