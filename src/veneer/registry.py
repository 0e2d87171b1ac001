"""The studies: one line each. The command line and the report read this table, and know no
study themselves."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.registry import Registry, load_object


@dataclass(frozen=True, slots=True)
class Room:
    """What a study's package shows to the command line and to the report; each is imported
    when it is used.

    commands: name of a command -> "module:class" of its options. sections: "module:SECTION" of its
    parts of the page.
    """

    commands: Mapping[str, str]
    sections: tuple[str, ...] = ()


STUDIES: Registry[Room] = Registry(
    "study",
    "veneer.studies",
    {
        "portion": "veneer.studies.portion:ROOM",
        "transfer": "veneer.studies.transfer:ROOM",
        "restore": "veneer.studies.restore:ROOM",
        "audit": "veneer.studies.audit:ROOM",
        "diversity": "veneer.studies.diversity:ROOM",
        "recovery": "veneer.studies.recovery:ROOM",
        "complexity": "veneer.studies.complexity:ROOM",
        "curve": "veneer.studies.curve:ROOM",
        "overton": "veneer.studies.overton:ROOM",
        "judging": "veneer.studies.judging:ROOM",
        "lm_eval": "veneer.studies.lm_eval:ROOM",
        "leak": "veneer.studies.leak:ROOM",
        "depth": "veneer.studies.depth:ROOM",
    },
)


def rooms() -> Iterator[Room]:
    """All studies. One of another package that cannot be imported is left out with a warning: the
    others still work."""
    for name in STUDIES:
        try:
            yield STUDIES.get(name)
        except InputError as error:
            logging.getLogger("veneer").warning("veneer: %s", error)


def study_commands() -> dict[str, str]:
    """Every command of every study: name -> "module:class". The first study that offers a name
    keeps it, and the built-in ones come first."""
    places: dict[str, str] = {}
    for room in rooms():
        for name, place in room.commands.items():
            places.setdefault(name, place)
    return places


def study_sections() -> list[Any]:
    """Every study's sections of the report (`veneer.report.section.Section`). One of another
    package that cannot be imported is left out with a warning: the page shows the others."""
    sections = []
    for place in (place for room in rooms() for place in room.sections):
        try:
            sections.append(load_object(place))
        except InputError as error:
            logging.getLogger("veneer").warning("veneer: %s", error)
    return sections
