"""Names of the study, its systems and its files."""

from __future__ import annotations

from veneer.foundation.system_id import SystemId

STUDY = "complexity"
PROGRAM = "program"  # kind of a system
EVERY = "programs"  # the system of a complexity over all programs
CONTROLS = ("shuffled", "bias")  # views that are no part of the front


def program_system(view: str, label: str) -> SystemId:
    """The system that a program makes of base."""
    return SystemId.of(PROGRAM, view=view, label=label)


def view_system(view: str) -> SystemId:
    """The system of a complexity over the programs of one view."""
    return SystemId.of("programs-of", view=view)
