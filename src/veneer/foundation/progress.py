"""Progress reports of long tasks."""

from __future__ import annotations

from collections.abc import Callable

# (done, total, what): `done` of `total` units of `what`; a total of 0 is unknown.
Progress = Callable[[int, int, str], None]
