"""What a model gives away of its alignment data (docs/leak.md)."""

from veneer.registry import Room

ROOM = Room(
    commands={"leak": "veneer.studies.leak.command:LeakCommand"},
    sections=("veneer.studies.leak.page:SECTION",),
)
