"""NAME=VALUE words of the command line."""

from __future__ import annotations

from collections.abc import Sequence

from veneer.foundation.errors import InputError


def named(given: Sequence[str], option: str, form: str) -> dict[str, str]:
    """NAME=VALUE words as a mapping. Raises InputError for another form, a repeated
    name, or one that cannot name a file."""
    values: dict[str, str] = {}
    for word in given:
        name, equals, value = word.partition("=")
        if not (equals and name and value):
            raise InputError(f"{option} has {word!r}; expected {form}")
        if name in values:
            raise InputError(f"{option} names {name!r} twice; give each its own name")
        if "/" in name or "\0" in name or name.startswith("."):
            raise InputError(
                f"{option} has the name {name!r}; expected a name without slashes that does not "
                "start with a dot"
            )
        values[name] = value
    return values
