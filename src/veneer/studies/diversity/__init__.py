"""How varied answers are, and what becomes of that variety (docs/diversity.md)."""

from veneer.registry import Room

ROOM = Room(
    commands={"diversity": "veneer.studies.diversity.command:Diversity"},
    sections=("veneer.studies.diversity.page:SECTION",),
)
