"""The names that the rows of a transfer carry, and what its systems are."""

from __future__ import annotations

from veneer.foundation.system_id import SystemId
from veneer.systems.alpha import Alpha

STUDY = "transfer"
SHIFTED = "shifted"  # kind of the large base with the small one's shift, named shifted-ALPHA
REFERENCES = ("small-base", "small-veneer", "small-aligned")


def shifted_system(alpha: Alpha) -> SystemId:
    """The large base with alpha of the shift."""
    return SystemId.of(SHIFTED, alpha=str(alpha))


def constant_alpha(system: SystemId) -> float | None:
    """The alpha of a system whose shift is the same at all positions; None for a schedule, or
    another system."""
    return Alpha.parse(str(system.get("alpha"))).constant if system.kind == SHIFTED else None
