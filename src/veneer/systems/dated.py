"""The date in a system's formats, where its chat template writes one."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from veneer.models.formats import dated
from veneer.systems.shifted import ShiftedSystem
from veneer.systems.system import Answering, System

S = TypeVar("S", bound=Answering)


def dated_system(system: S, day: str) -> S:
    """The system with this date where its template writes the date and none was chosen (see
    formats.dated); any other as it is."""
    if isinstance(system, System):
        form = dated(system.format, day, system.lm.tokenizer)
        return system if form == system.format else replace(system, format=form)
    if isinstance(system, ShiftedSystem):
        form, small = (
            dated(system.format, day, system.large.tokenizer),
            dated(system.small_format, day, system.small.tokenizer),
        )
        return (
            system
            if (form, small) == (system.format, system.small_format)
            else replace(system, format=form, small_format=small)
        )
    return system


def day_in(system: Answering) -> str | None:
    """The date that a system's template writes, or None where it writes none."""
    forms = [getattr(system, name, None) for name in ("format", "small_format")]
    return next((day for form in forms if (day := getattr(form, "day", None)) is not None), None)
