"""The names that an audit's rows carry."""

from __future__ import annotations

from veneer.foundation.system_id import SystemId

STUDY = "audit"
HARMFUL, HARMLESS = "harmful", "harmless"  # tasks
REFERENCE, AUDITED = "reference", "audited"  # systems: A and C
ONLY_HEAD = "only-head"  # A's layers under C's head
ONLY_LAYERS = "only-layers"  # C's layers under A's head
RESTORED = "audited-veneer"  # C with a veneer towards A, on prompts that the veneer has not seen
# splits of KL rows: whose answers both models read
ON = {REFERENCE: "reference's answers", AUDITED: "audited's answers"}
HELD_OUT = "held-out"  # split of the veneer's rows
PATCHED = "patched"  # split of the rows of layer patching
WEIGHTS = "weights: "  # begins the tasks of the rows of weights
AMPLIFIED = "amplified"  # kind of the systems that amplify the difference of C from A
BOTTOM, TOP, ALL = "patched-bottom", "patched-top", "patched-all"  # kinds of patched systems


def patched_system(end: str, layers: int) -> SystemId:
    """C with so many of A's layers. end: BOTTOM, TOP or ALL."""
    return SystemId.of(end, layers=layers)


def amplified_system(alpha: float) -> SystemId:
    """C's difference from A, amplified."""
    return SystemId.of(AMPLIFIED, alpha=f"{alpha:g}")
