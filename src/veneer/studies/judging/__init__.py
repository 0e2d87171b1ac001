"""Judges on stored answers, and the agreement of two judges (docs/judges.md)."""

from veneer.registry import Room

ROOM = Room(
    commands={
        "judge": "veneer.studies.judging.command:JudgeCommand",
        "label": "veneer.studies.judging.label_command:LabelCommand",
    },
    sections=("veneer.studies.judging.page:SECTION",),
)
