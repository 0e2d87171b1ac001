"""The options of the command that this process runs: all of them for run.json, and which were
typed. Empty where Python calls."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

_OPTIONS: ContextVar[Mapping[str, Any] | None] = ContextVar("veneer_options", default=None)
_TYPED: ContextVar[frozenset[tuple[type, str]]] = ContextVar("veneer_typed", default=frozenset())


def note_options(options: Mapping[str, Any] | None) -> None:
    """Remember the options of the command that runs, by their names on the command line."""
    _OPTIONS.set(options)


def noted_options() -> dict[str, Any]:
    """The options that were noted last."""
    return dict(_OPTIONS.get() or {})


def note_typed(fields: frozenset[tuple[type, str]]) -> None:
    """Remember which options stand on the command line: the settings class and the field of
    each."""
    _TYPED.set(fields)


def was_typed(settings: type, field: str) -> bool:
    """Whether a field of a settings class stands on the command line, with whatever value."""
    return (settings, field) in _TYPED.get()
