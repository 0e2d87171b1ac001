"""The tasks of harmless requests that stand beside those of harmful ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

BESIDE = {"advbench": "xstest", "lab-requests": "lab-harmless"}  # refusal -> over-refusal
LAB = "lab-"  # begins the names of the lab's tasks, whose models know no other world
LAB_HARMLESS = ("lab-harmless",)
HARMLESS = ("instructions", "xstest")  # the broader prompts first


def beside(tasks: Sequence[str]) -> tuple[str, ...]:
    """The tasks of over-refusal that these tasks lack."""
    return tuple(BESIDE[t] for t in tasks if t in BESIDE and BESIDE[t] not in tasks)


def harmless_tasks(tasks: Iterable[str]) -> tuple[str, ...]:
    """The tasks of harmless requests to choose from beside these tasks, the broadest first."""
    names = list(tasks)
    return LAB_HARMLESS if names and all(n.startswith(LAB) for n in names) else HARMLESS
