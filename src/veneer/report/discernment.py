"""Discernment beside figures of safety: which contrast stands there, and why there may be none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from veneer.foundation.results import Measurement
from veneer.measures.words import NO_DISCERNMENT

AUROC, PROBE = "discernment_auroc", "probe_auroc"
FIRST = "xstest"  # the hardest contrast: prompts of both kinds resemble each other
MISSING = "not measured; add the task xstest or instructions"


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


def missing(run: Mapping[str, Any]) -> str:
    """Why a study has none, from its run.json."""
    code = run.get("discernment_left_out")
    reason = NO_DISCERNMENT.get(code) if isinstance(code, str) else None
    return MISSING if reason is None else f"not measured: {reason}"
