"""The Overton window as a measure: which of people's viewpoints a response covers
(docs/overton-window.md)."""

from veneer.registry import Room

ROOM = Room(
    commands={"overton": "veneer.studies.overton.command:OvertonCommand"},
    sections=("veneer.studies.overton.page:SECTION",),
)
