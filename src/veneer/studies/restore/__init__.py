"""Putting alignment back on a model that fine-tuning broke (docs/restore.md)."""

from veneer.registry import Room

ROOM = Room(
    commands={"restore": "veneer.studies.restore.command:RestoreCommand"},
    sections=("veneer.studies.restore.page:SECTION",),
)
