"""The models of a transfer: a large base, a small base with its veneer, and their aligned versions
where they are given."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from veneer.foundation.errors import InputError
from veneer.head.veneer import Veneer
from veneer.models.formats import ChatFormat, Format, PlainFormat, dated
from veneer.models.language_model import LanguageModel
from veneer.models.pair import Pair
from veneer.models.vocabulary import Vocabulary, match_vocabularies


@dataclass
class TransferModels:
    """large, small: the two bases. veneer: the small one's; without it, one is extracted from
    small_aligned.

    large_format, small_format: what the bases read, in the study and in decoding. aligned_format:
    what both aligned models read. Raises InputError where two models cannot be what they are given
    as: vocabularies that differ, one model given as base and as aligned, a veneer of another base.
    """

    large: LanguageModel
    small: LanguageModel
    large_aligned: LanguageModel | None = None
    small_aligned: LanguageModel | None = None
    veneer: Veneer | None = None
    large_format: Format = field(default_factory=PlainFormat)
    small_format: Format = field(default_factory=PlainFormat)
    aligned_format: Format = field(default_factory=ChatFormat)

    def __post_init__(self) -> None:
        if self.veneer is None and self.small_aligned is None:
            raise InputError(
                "there is no veneer to transfer; give the small base's --veneer, or its --aligned "
                "model to extract one"
            )
        for role, base, aligned in (
            ("large", self.large, self.large_aligned),
            ("small", self.small, self.small_aligned),
        ):
            if aligned is not None and aligned.fingerprint() == base.fingerprint():
                raise InputError(
                    f"{base.name} is given both as the {role} base and as its aligned model; "
                    "expected two models that differ"
                )
        if self.veneer is not None:
            self.veneer.check_fits(self.small)
        self.vocabulary: Vocabulary = match_vocabularies(self.large, self.small)
        # their vocabularies and templates are checked before any work
        _ = self.large_pair, self.small_pair

    @cached_property
    def large_pair(self) -> Pair | None:
        """Large base and large aligned model."""
        if self.large_aligned is None:
            return None
        return Pair(self.large, self.large_aligned, self.large_format, self.aligned_format)

    @cached_property
    def small_pair(self) -> Pair | None:
        """Small base and small aligned model."""
        if self.small_aligned is None:
            return None
        return Pair(self.small, self.small_aligned, self.small_format, self.aligned_format)

    def dated(self, day: str) -> TransferModels:
        """With this date where a chat template writes the date and none was chosen
        (see formats.dated)."""
        aligned = [
            lm.tokenizer for lm in (self.large_aligned, self.small_aligned) if lm is not None
        ]
        formats: dict[str, Any] = {
            "large_format": dated(self.large_format, day, self.large.tokenizer),
            "small_format": dated(self.small_format, day, self.small.tokenizer),
            "aligned_format": dated(self.aligned_format, day, *aligned),
        }
        return (
            self
            if all(getattr(self, k) == v for k, v in formats.items())
            else replace(self, **formats)
        )

    def facts(self) -> dict[str, Any]:
        """For run.json; the large models stand where other studies have their pair."""
        models = {
            "base": self.large,
            "aligned": self.large_aligned,
            "small_base": self.small,
            "small_aligned": self.small_aligned,
        }
        return {
            **{role: lm.facts() for role, lm in models.items() if lm is not None},
            "base_format": self.large_format.facts(),
            "small_format": self.small_format.facts(),
            "aligned_format": self.aligned_format.facts(),
            "vocabulary": self.vocabulary.facts(),
        }
