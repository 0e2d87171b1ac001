"""A large base with a small base's veneer (docs/transfer.md)."""

from veneer.registry import Room

ROOM = Room(
    commands={"transfer": "veneer.studies.transfer.command:TransferCommand"},
    sections=("veneer.studies.transfer.page:SECTION",),
)
