"""The superficial portion: capture, extract, measure, report."""

from veneer.registry import Room

ROOM = Room(
    commands={
        "run": "veneer.studies.portion.command:Run",
        "measure": "veneer.studies.portion.command:Measure",
        "extract": "veneer.studies.portion.command:Extract",
    }
)
