"""Settings objects: frozen dataclasses that Python takes and that the command line is made from.

A field's docstring, the text below it, is the option's help. `Option` says how a field appears on
the command line where its name and type do not say enough:

    max_new_tokens: int = 128
    \"\"\"Longest answer, in tokens.\"\"\"
    tasks: Annotated[tuple[str, ...], Option(commas=True)] = ()
    \"\"\"Tasks to measure.\"\"\"
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import Any

from veneer.foundation.errors import SettingError
from veneer.foundation.invocation import was_typed


@dataclass(frozen=True, slots=True)
class Option:
    """How a field appears on the command line (veneer.terminal.command_line reads it).

    name: the option without its dashes, where it is not the field's name. metavar: what stands for
    the value in the help, such as "FOLDER". commas: a tuple is given as one word, its items
    separated by commas. repeat: a tuple is given by repeating the option. hidden: for Python only.
    positional: given without an option's name. alias: another name, with its dashes, that is
    accepted too. recorded: run.json keeps it among the options.
    """

    name: str | None = None
    metavar: str | None = None
    commas: bool = False
    repeat: bool = False
    hidden: bool = False
    positional: bool = False
    alias: str | None = None
    recorded: bool = True


def check_least(settings: Any, least: int, *names: str) -> None:
    """Raise SettingError for a number of a settings object that is below `least`, or is none
    (NaN). A setting without a value passes."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not value >= least:
            raise SettingError(name, f"is {value}; expected {least} or more")


def refuse_unused(settings: Any, where: str, *names: str) -> None:
    """Raise SettingError for a setting that is given where nothing reads it: one that has another
    value than its default, or that stands on the command line. where: in which case, such as
    "without --veneer". names: fields; all of them by default."""
    for field in fields(settings):
        if names and field.name not in names:
            continue
        factory = field.default_factory
        default = field.default if factory is MISSING else factory()
        is_given = getattr(settings, field.name) != default
        if is_given or was_typed(type(settings), field.name):
            raise SettingError(
                field.name, f"is given {where}, where nothing reads it; leave it out"
            )
