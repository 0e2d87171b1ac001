"""The superficial portion: capture, extract, measure, report."""

from veneer.registry import Room

ROOM = Room(
    commands={
        "run": "veneer.studies.portion.command:RunCommand",
        "measure": "veneer.studies.portion.command:MeasureCommand",
        "extract": "veneer.studies.portion.command:ExtractCommand",
    }
)
