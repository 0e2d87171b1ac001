"""Read the ids of rows."""

from __future__ import annotations

from typing import Any


def as_id(value: Any) -> str | None:
    """Return an id as a text: a text that is not blank, or a whole number as its digits; None for
    anything else."""
    if isinstance(value, str):
        return value if value.strip() else None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
