"""The options of the command that this process runs, for run.json. Empty where Python calls."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

_OPTIONS: ContextVar[Mapping[str, Any] | None] = ContextVar("veneer_options", default=None)


def note_options(options: Mapping[str, Any] | None) -> None:
    """Remember the options of the command that runs, by their names on the command line."""
    _OPTIONS.set(options)


def noted_options() -> dict[str, Any]:
    """The options that were noted last."""
    return dict(_OPTIONS.get() or {})
