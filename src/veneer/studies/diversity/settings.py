"""The settings of a diversity study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from veneer.foundation.errors import InputError, SettingError
from veneer.foundation.settings import Option, check_least

ASPECTS = ("helpfulness", "clarity", "factuality", "depth", "engagement")
ALL_ANSWERS = "all answers"  # split of the rows on answers of every quality
RECORDED = ("samples", "temperature", "max_new_tokens", "batch_size", "threshold", "seed")


@dataclass(frozen=True, kw_only=True)
class DiversitySettings:
    """How answers are sampled and measured, and what a judge model is asked."""

    samples: int = 5
    """Answers per prompt and model."""
    temperature: float = 0.5
    """Sampling temperature."""
    max_new_tokens: int = 256
    """Longest answer, in tokens."""
    batch_size: int = 32
    """Number of prompts answered together."""
    threshold: float = 4.0
    """Score of --aspect, 1 to 5, that an answer must reach in the decomposition; the filter is
    shown at every threshold."""
    orders: Annotated[tuple[float, ...], Option(name="vendi", metavar="Q")] = (1.0,)
    """Orders q of the Vendi score, the effective number of different answers; inf is allowed."""
    embedder: Annotated[str, Option(metavar="MODEL")] = "minilm"
    """Embedding model: minilm, model2vec:NAME, a sentence-transformers folder or hub id; none
    leaves semantic measures out."""
    cut: bool = False
    """Read long texts only as far as the embedding model does in one pass (minilm: 256 tokens), as
    sentence-transformers and most papers do. Default: whole, in pieces whose vectors are
    averaged."""
    judge_for: tuple[Literal["quality", "stance", "novelty", "topics"], ...] = ("quality",)
    """Questions to a judge model (--judge-url and --judge-model, or --judge-local), where no
    stored judgements are given."""
    aspect: str = "helpfulness"
    """Aspect of the quality judgements that filters."""
    seed: int = 0
    """Seed for sampling and the intervals."""

    def __post_init__(self) -> None:
        """Raises InputError for a value outside its range."""
        check_least(self, 1, "samples", "max_new_tokens", "batch_size")
        check_least(self, 0, "seed")
        if not 1 <= self.threshold <= 5:
            raise SettingError("threshold", f"is {self.threshold}; expected a score from 1 to 5")
        if self.samples > 1 and not self.temperature > 0:
            raise SettingError(
                "temperature",
                f"is {self.temperature}, at which all samples are equal; expected more than 0, "
                "such as 0.5",
            )
        if not self.orders or any(not q >= 0 for q in self.orders):
            shown = ", ".join(f"{q:g}" for q in self.orders) or "empty"
            raise SettingError("orders", f"is {shown}; expected numbers of 0 or more, or inf")
        if self.cut and self.embedder == "none":
            raise InputError(
                "--cut is given and nothing is embedded; leave out --cut, or --embedder none"
            )
        if self.aspect not in ASPECTS:
            raise InputError(
                f"there is no aspect {self.aspect!r}; expected one of {', '.join(ASPECTS)}"
            )

    def to_json(self) -> dict[str, Any]:
        """The settings of sampling and measuring as run.json holds them; embedder, aspect and the
        judge's questions stand beside them."""
        return {
            **{name: getattr(self, name) for name in RECORDED},
            "orders": [str(q) for q in self.orders],
        }
