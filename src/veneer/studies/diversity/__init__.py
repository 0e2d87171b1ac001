"""How varied answers are, and what becomes of that variety (docs/diversity.md)."""

from veneer.registry import Room

ROOM = Room(
    commands={"diversity": "veneer.studies.diversity.command:DiversityCommand"},
    sections=("veneer.studies.diversity.page:SECTION",),
)
