"""What an audit is made with, and the names that its rows carry."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from veneer.foundation.errors import InputError

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


@dataclass(frozen=True, slots=True)
class AuditConfig:
    """max_new_tokens, batch_size: of answers. k: log-probabilities kept a token for the veneer.
    folds: parts in which each prompt is held out once from a veneer; 0 leaves the veneer out.
    patched_prompts: of each set, for the patching of layers; 0 leaves it out. steps: how many
    numbers of layers are patched from each end. opening: tokens by which answers count as beginning
    alike."""

    max_new_tokens: int = 48
    batch_size: int = 20
    k: int = 64
    folds: int = 5
    patched_prompts: int = 12
    steps: int = 4
    opening: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("max_new_tokens", "batch_size", "k", "steps", "opening"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected 1 or more")
        if self.folds < 0 or self.folds == 1:
            raise InputError(f"folds is {self.folds}; expected 2 or more, or 0 for no veneer")
        if self.patched_prompts < 0:
            raise InputError(
                f"patched_prompts is {self.patched_prompts}; expected 1 or more, or 0 for no "
                "patching of layers"
            )

    def facts(self) -> dict[str, Any]:
        return asdict(self)
