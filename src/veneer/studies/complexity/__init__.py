"""How many bytes base needs to reach a score (docs/complexity.md)."""

from veneer.registry import Room

ROOM = Room(
    commands={
        "complexity": "veneer.studies.complexity.command:ComplexityCommand",
        "program": "veneer.studies.complexity.command:ProgramCommand",
    },
    sections=("veneer.studies.complexity.page:SECTION",),
)
