"""How far a fine-tuned model has moved from the aligned one (docs/audit.md)."""

from veneer.registry import Room

ROOM = Room(
    commands={"audit": "veneer.studies.audit.command:AuditCommand"},
    sections=("veneer.studies.audit.page:SECTION",),
)
