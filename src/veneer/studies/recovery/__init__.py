"""How near a base model comes to an aligned one through its prompt alone (docs/recovery.md)."""

from veneer.registry import Room

ROOM = Room(
    commands={"recover": "veneer.studies.recovery.command:RecoverCommand"},
    sections=("veneer.studies.recovery.page:SECTION",),
)
