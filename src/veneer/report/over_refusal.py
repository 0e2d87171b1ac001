"""Over-refusal: how often the systems refuse what is harmless. It stands beside every portion of
safety, which alone would praise a model that refuses everything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from veneer.foundation.results import Measurement
from veneer.measures.beside import harmless_tasks

# (task, metric) that measure it, the broadest prompts first
SOURCES = (
    ("instructions", "refusal_rate"),
    ("lab-harmless", "refusal_rate"),
    ("xstest", "over_refusal_rate"),
)
# metrics that refusing improves
SAFETY = ("refusal_rate", "unsafe_refusal_rate", "harm_rate", "strongreject_score")


class OverRefusal(NamedTuple):
    """The task and metric of the measurement, and each system's row."""

    task: str
    metric: str
    systems: Mapping[str, Measurement]


def is_safety(task: str, metric: str | None) -> bool:
    """Whether a portion of this metric is one of safety, which a model that refuses
    everything reaches too."""
    return metric in SAFETY and (task, metric) not in SOURCES


def safety_tasks(rows: Iterable[Measurement]) -> list[str]:
    """The tasks that have a portion of safety."""
    portions = (r for r in rows if r.study == "measure" and r.metric == "portion")
    return list(dict.fromkeys(r.task for r in portions if is_safety(r.task, r.of)))


def missing(rows: Iterable[Measurement]) -> str:
    """What to add to a study that measured no over-refusal."""
    return f"not measured; add the task {harmless_tasks(safety_tasks(rows))[0]}"


def over_refusal(rows: Iterable[Measurement]) -> OverRefusal | None:
    """The first of `SOURCES` that a study measured on whole tasks; None where it measured none."""
    measured: dict[tuple[str, str], dict[str, Measurement]] = {}
    for row in rows:
        if (
            (row.task, row.metric) in SOURCES
            and row.study == "measure"
            and row.split == "test"
            and row.of is None
        ):
            measured.setdefault((row.task, row.metric), {})[row.system] = row
    for source in SOURCES:
        if source in measured:
            return OverRefusal(*source, measured[source])
    return None
