"""A Pair: a base and an aligned model with a checked common vocabulary, each with its
own prompt format."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.models.formats import ChatFormat, Format, PlainFormat, check_arguments, dated
from veneer.models.language_model import LanguageModel, check_model
from veneer.models.load import load_model
from veneer.models.places import check_places
from veneer.models.shipped import warn_of_settings
from veneer.models.templates import template_of
from veneer.models.vocabulary import Vocabulary, match_vocabularies
from veneer.prompts.prompt import Prompt


@dataclass(frozen=True)
class AlignedFormat:
    """What base reads where it reads the aligned model's own format, whatever template its own
    tokenizer has: that model's token ids, in base's."""

    form: Format
    aligned: LanguageModel = field(repr=False)
    vocabulary: Vocabulary = field(repr=False)

    def encode(self, tokenizer: Any, prompt: Prompt) -> list[int]:
        """Raises VeneerError for a token that base has no row for."""
        return self.vocabulary.ids_from_other(self.form.encode(self.aligned.tokenizer, prompt))

    def facts(self) -> dict[str, Any]:
        return {**self.form.facts(), "template_of": self.aligned.tokenizer_hash()}


@dataclass
class Pair:
    """base reads `base_format` (plain text by default), aligned reads `aligned_format` (its chat
    template by default)."""

    base: LanguageModel
    aligned: LanguageModel
    base_format: Format = field(default_factory=PlainFormat)
    aligned_format: Format = field(default_factory=ChatFormat)

    def __post_init__(self) -> None:
        check_model(self.base)
        check_model(self.aligned)
        self.vocabulary: Vocabulary = match_vocabularies(self.base, self.aligned)
        if isinstance(self.aligned_format, ChatFormat) and not self.aligned.tokenizer.chat_template:
            raise InputError(
                f"the tokenizer of {self.aligned.name} has no chat template; give the aligned "
                "model a plain format (--aligned-plain), or save its tokenizer with a template"
            )
        warn_of_settings(self.base, self.aligned)
        check_arguments(self.aligned_format, self.aligned.tokenizer)

    @classmethod
    def load(
        cls,
        base: str | Path,
        aligned: str | Path,
        *,
        base_format: Format | None = None,
        aligned_format: Format | None = None,
        **how: Any,
    ) -> Pair:
        """Load both by name (see load.load_model for the names and for `how`: device, dtype,
        revision, trust_remote_code)."""
        check_places(*(str(m) for m in (base, aligned) if isinstance(m, str | Path)))
        return cls(
            load_model(base, **how),
            load_model(aligned, **how),
            base_format or PlainFormat(),
            aligned_format or ChatFormat(),
        )

    @classmethod
    def of(
        cls,
        base: Any,
        aligned: Any,
        tokenizer: Any = None,
        *,
        aligned_tokenizer: Any = None,
        base_format: Format | None = None,
        aligned_format: Format | None = None,
    ) -> Pair:
        """A pair of models that are in memory already: transformers models, or LanguageModel.

        tokenizer: base's, and the aligned model's too unless `aligned_tokenizer` is given. Raises
        InputError as `LanguageModel.of` does, and where the two share no tokenizer.
        """
        return cls(
            LanguageModel.of(base, tokenizer),
            LanguageModel.of(aligned, aligned_tokenizer or tokenizer),
            base_format or PlainFormat(),
            aligned_format or ChatFormat(),
        )

    def dated(self, day: str) -> Pair:
        """The pair with this date where a chat template writes the date and none was chosen
        (see formats.dated)."""
        formats = (
            dated(self.base_format, day, self.base.tokenizer),
            dated(self.aligned_format, day, self.aligned.tokenizer),
        )
        if formats == (self.base_format, self.aligned_format):
            return self
        other = copy.copy(self)  # the vocabulary is matched already
        other.base_format, other.aligned_format = formats
        return other

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Ids (base's) that end a response of the aligned model, or of base with its veneer: either
        model's end tokens."""
        aligned = map(self.vocabulary.from_other_id, self.aligned.stop_ids)
        return tuple(sorted({*(i for i in aligned if i is not None), *self.base.stop_ids}))

    @cached_property
    def aligned_stop_ids(self) -> tuple[int, ...]:
        """`stop_ids` as the aligned model's ids, without those outside the shared vocabulary."""
        shared = [i for i in self.stop_ids if i < self.vocabulary.size]
        return tuple(self.vocabulary.ids_to_other(shared))

    @property
    def stop(self) -> tuple[str, ...]:
        """Texts that end a response of the aligned model, where its template closes an answer with
        no single token."""
        text = self.aligned.turn.text if isinstance(self.aligned_format, ChatFormat) else None
        return () if text is None else (text,)

    def aligned_format_for_base(self) -> Format:
        """The format in which base reads what the aligned model reads."""
        own, other = (template_of(lm.tokenizer) for lm in (self.base, self.aligned))
        if own == other and self.vocabulary.to_other is None:
            return self.aligned_format
        return AlignedFormat(self.aligned_format, self.aligned, self.vocabulary)

    def facts(self) -> dict[str, Any]:
        return {
            "base": self.base.facts(),
            "aligned": self.aligned.facts(),
            "base_format": self.base_format.facts(),
            "aligned_format": self.aligned_format.facts(),
            "vocabulary": self.vocabulary.facts(),
            "stop_ids": list(self.stop_ids),
            **({"stop": list(self.stop)} if self.stop else {}),
        }
