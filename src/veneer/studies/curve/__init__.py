"""Skill by number of examples (docs/curve.md)."""

from veneer.registry import Room

ROOM = Room(
    commands={"curve": "veneer.studies.curve.command:CurveCommand"},
    sections=("veneer.studies.curve.page:SECTION",),
)
