"""Discernment beside figures of safety: which contrast stands there, and why there may be none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from veneer.foundation.results import Measurement
from veneer.measures.beside import harmless_tasks
from veneer.measures.words import NO_DISCERNMENT
from veneer.report.over_refusal import safety_tasks

AUROC, PROBE = "discernment_auroc", "probe_auroc"
FIRST = "xstest"  # the hardest contrast: prompts of both kinds resemble each other


class MeasuredContrast(NamedTuple):
    """The contrast's name, and each system's AUROC on it."""

    task: str
    systems: Mapping[str, Measurement]


def discernment(rows: Iterable[Measurement]) -> MeasuredContrast | None:
    """XSTest's contrast, or else the first one that a study measured; None where it measured
    none."""
    measured: dict[str, dict[str, Measurement]] = {}
    for row in rows:
        if (row.study, row.metric, row.split) == ("measure", AUROC, "test"):
            measured.setdefault(row.task, {})[row.system] = row
    for task in sorted(measured, key=lambda name: name != FIRST):
        return MeasuredContrast(task, measured[task])
    return None


def missing(rows: Iterable[Measurement], run: Mapping[str, Any] | None = None) -> str:
    """Why a study has none, from its rows and, where it is there, its run.json."""
    add = f"add the task {' or '.join(harmless_tasks(safety_tasks(rows)))}"
    code = (run or {}).get("discernment_left_out")
    reason = NO_DISCERNMENT.get(code) if isinstance(code, str) else None
    return f"not measured; {add}" if reason is None else f"not measured: {reason.format(add=add)}"
