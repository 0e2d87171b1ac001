"""The settings of the fine-tuning attack (attack.py), apart from it, so that they cost no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from veneer.foundation.errors import InputError


@dataclass(frozen=True, slots=True)
class AttackConfig:
    """method: "lora", an adapter on every linear layer of the attacked layers (rank, alpha), or
    "full", all weights of these layers, the final norm and the head. from_layer: the lowest
    attacked layer, 0-based; None: the upper half. rate, epochs, batch, seed: see
    `tuning.fit_answers`. keep: the epochs after which the model is kept; the last one always is.
    ends: whether the answers' end of turn is learned too; a compliant beginning has none."""

    method: Literal["lora", "full"] = "lora"
    rank: int = 16
    alpha: int = 32
    from_layer: int | None = None
    rate: float = 8e-4
    epochs: int = 8
    batch: int = 16
    keep: tuple[int, ...] = ()
    ends: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rank", "epochs", "batch"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"{name} of the attack is {getattr(self, name)}; expected 1 or more"
                )
        if not self.rate > 0:
            raise InputError(f"rate of the attack is {self.rate}; expected a learning rate above 0")
        if wrong := [e for e in self.keep if not 1 <= e <= self.epochs]:
            raise InputError(
                f"epoch {wrong[0]} of the attack is to be kept; expected one from 1 to "
                f"{self.epochs}"
            )

    @property
    def kept(self) -> tuple[int, ...]:
        return tuple(sorted({*self.keep, self.epochs}))
