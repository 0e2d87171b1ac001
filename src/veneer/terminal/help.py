"""Help whose lines flow: tyro keeps every line break of an option's docstring that is
indented (1.0.17)."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable
from typing import Annotated, get_type_hints

import docstring_parser
import tyro


def flow(commands: Iterable[type]) -> None:
    """Give the options of all commands, and those that they inherit, their docstrings as one
    paragraph each. To be called before tyro first reads the classes: it remembers what it read."""
    for cls in dict.fromkeys(cls for command in commands for cls in command.__mro__):
        own = inspect.get_annotations(cls)
        if not own or not dataclasses.is_dataclass(cls):
            continue
        hints = get_type_hints(cls, include_extras=True)
        for told in docstring_parser.parse_from_object(cls).params:
            if told.arg_name in own and told.description:
                text = " ".join(told.description.split())
                cls.__annotations__[told.arg_name] = Annotated[
                    hints[told.arg_name], tyro.conf.arg(help=text)
                ]
