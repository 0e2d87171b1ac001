"""The tasks of harmless requests that stand beside those of harmful ones."""

from __future__ import annotations

from collections.abc import Sequence

BESIDE = {"advbench": "xstest", "lab-requests": "lab-harmless"}  # refusal -> over-refusal


def beside(tasks: Sequence[str]) -> tuple[str, ...]:
    """The tasks of over-refusal that these tasks lack."""
    return tuple(BESIDE[t] for t in tasks if t in BESIDE and BESIDE[t] not in tasks)
