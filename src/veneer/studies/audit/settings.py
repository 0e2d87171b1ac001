"""The settings of an audit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from veneer.foundation.errors import SettingError
from veneer.foundation.settings import Option, check_least


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """How answers are generated, and the measures on them."""

    max_new_tokens: int = 48
    """Longest answer, in tokens."""
    batch_size: int = 20
    """Number of prompts answered together."""
    k: int = 64
    """Log-probabilities kept per token, for the veneer."""
    folds: int = 5
    """Parts of the prompts, each held out once from a veneer; 0 leaves the veneer out."""
    patched_prompts: int = 12
    """Prompts of each set on which layers are patched; 0 leaves the patching out."""
    steps: Annotated[int, Option(name="patch-steps")] = 4
    """Numbers of layers that are patched, counted from each end."""
    opening: Annotated[int, Option(name="opening-tokens")] = 4
    """Tokens by which two answers count as beginning alike."""
    seed: int = 0
    """Seed for the veneers' parts and the intervals."""

    def __post_init__(self) -> None:
        """Raises InputError for a number out of its range."""
        check_least(self, 1, "max_new_tokens", "batch_size", "k", "steps", "opening")
        check_least(self, 0, "seed")
        if self.folds < 0 or self.folds == 1:
            raise SettingError("folds", f"is {self.folds}; expected 2 or more, or 0 for no veneer")
        if self.patched_prompts < 0:
            raise SettingError(
                "patched_prompts",
                f"is {self.patched_prompts}; expected 1 or more, or 0 for no patching of layers",
            )

    def facts(self) -> dict[str, Any]:
        """For run.json."""
        return asdict(self)
