"""The settings of an Overton study."""

from __future__ import annotations

from dataclasses import dataclass

from veneer.foundation.errors import SettingError
from veneer.foundation.settings import check_least


@dataclass(frozen=True, kw_only=True)
class OvertonSettings:
    """Who decides which viewpoints a response covers, and from where on."""

    rating: float = 4.0
    """The judge's rating, 1 to 5, from which a viewpoint counts as covered."""
    embedding_threshold: float | None = None
    """Decide by embeddings instead of a judge, from this cosine on: a stand-in."""
    embedder: str | None = None
    """Embedding model of that stand-in. Default: minilm."""
    seed: int = 0
    """Seed for the intervals."""

    def __post_init__(self) -> None:
        if not 1 <= self.rating <= 5:
            raise SettingError("rating", f"is {self.rating}; expected a number from 1 to 5")
        check_least(self, 0, "seed")
