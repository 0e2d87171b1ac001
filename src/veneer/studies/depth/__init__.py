"""How deep refusals are: what is left of them where the first tokens of the answer are given
(docs/depth.md)."""

from veneer.registry import Room

ROOM = Room(
    commands={"depth": "veneer.studies.depth.command:DepthCommand"},
    sections=("veneer.studies.depth.page:SECTION",),
)
