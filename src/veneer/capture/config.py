"""What a capture is made with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from veneer.foundation.errors import SettingError
from veneer.foundation.settings import check_least
from veneer.models.device import DTYPES
from veneer.models.sampling import Sampling


@dataclass(frozen=True, slots=True)
class CaptureConfig:
    """k: log-probabilities kept per token; the rest of the mass is kept as one number.
    hidden_dtype: dtype of the stored hidden states.

    batch_size: prompts decoded together. shard_batches: batches in one shard, the unit of resuming.
    noise_prompts: prompts whose responses the aligned model reads again, one at a time, for the
    check by teacher forcing and the noise floor.
    """

    k: int = 64
    hidden_dtype: str = "float32"
    batch_size: int = 32
    shard_batches: int = 2
    noise_prompts: int = 16
    sampling: Sampling = field(default_factory=Sampling)

    def __post_init__(self) -> None:
        if self.hidden_dtype not in DTYPES:
            raise SettingError(
                "hidden_dtype",
                f"is {self.hidden_dtype!r}; expected one of {', '.join(DTYPES)}",
            )
        check_least(self, 1, "k", "batch_size", "shard_batches", "noise_prompts")

    def facts(self) -> dict[str, Any]:
        words = {
            k: getattr(self, k)
            for k in ("k", "hidden_dtype", "batch_size", "shard_batches", "noise_prompts")
        }
        return {**words, "sampling": self.sampling.facts()}
