"""Judges on stored answers, and the agreement of two judges (docs/judges.md)."""

from veneer.registry import Room

ROOM = Room(commands={"judge": "veneer.studies.judging.command:JudgeCommand"})
