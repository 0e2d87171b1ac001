"""A local System: a model, the format it reads, and perhaps another head."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from veneer.foundation.display import Shown
from veneer.foundation.errors import InputError
from veneer.head.extract import Extraction
from veneer.head.recorded import chosen_format, fitted_formats, warn_of_formats
from veneer.head.veneer import Veneer
from veneer.models.control_tokens import warn_of_markup
from veneer.models.decode import Decoded, Sampling, decode
from veneer.models.formats import ChatFormat, Format, PlainFormat, forced_ids
from veneer.models.head import Head
from veneer.models.language_model import LanguageModel, check_model
from veneer.models.pair import Pair
from veneer.models.stepper import ModelStepper
from veneer.models.vocabulary import check_readable
from veneer.prompts.prompt import Prompt


class Answering(Protocol):
    """Anything that answers prompts, as `respond` needs it."""

    @property
    def name(self) -> str: ...

    def prompt_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Length of each prompt in tokens with the text that is forced behind it, or an estimate
        where there is no tokenizer. Raises InputError for a prompt that it cannot answer."""
        ...

    def longest(self) -> int | None:
        """Tokens that prompt and answer may have together; None where unknown."""
        ...

    def decode(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        stop_strings: Sequence[str],
        keys: Sequence[str],
    ) -> list[Decoded]:
        """Answer one batch. keys: one name an answer, from which its randomness is drawn."""
        ...

    def facts(self) -> dict[str, Any]:
        """What decides its answers, for manifests."""
        ...


@dataclass(frozen=True, repr=False)
class System(Shown):
    """name: as in results. head: in place of the model's own (a veneer's). barred: ids that may not
    be among the first `barred_steps` tokens of an answer. stop: strings that end its answers beside
    the task's own (the fence of an in-context format, the closing text of a chat template whose end
    is no single token). fitted: the templates that its head was fitted behind, if recorded: prompts
    in another one are answered with a warning."""

    name: str
    lm: LanguageModel
    format: Format
    stop_ids: tuple[int, ...]
    head: Head | None = None
    barred: tuple[int, ...] = ()
    barred_steps: int = 0
    stop: tuple[str, ...] = ()
    fitted: tuple[str | None, ...] = ()

    def __post_init__(self) -> None:
        text = self.lm.turn.text if isinstance(self.format, ChatFormat) else None
        if text is not None and text not in self.stop:
            object.__setattr__(self, "stop", (*self.stop, text))

    @classmethod
    def of_model(
        cls,
        lm: LanguageModel,
        veneer: Veneer | Extraction | str | Path | None = None,
        *,
        format: Format | None = None,
        alpha: float = 1.0,
        name: str | None = None,
    ) -> System:
        """A model as it is, or base with its veneer: an object or its folder. The format is what
        the veneer recorded for base, otherwise plain (with a warning where the tokenizer has a
        chat template).

        Raises InputError where the veneer is of another head, or where it records several templates
        and no format is given.
        """
        check_model(lm)
        if veneer is None:
            if format is None:
                warn_of_plain_text(lm, "format=ChatFormat()", "format=PlainFormat()")
            return cls(name or "base", lm, format or PlainFormat(), lm.stop_ids)
        veneer = Veneer.of(veneer)
        veneer.check_fits(lm)
        form = format or chosen_format(veneer.facts)
        stops = tuple(sorted({*lm.stop_ids, *veneer.facts.get("stop_ids", ())}))
        texts, fitted = tuple(veneer.facts.get("stop", ())), fitted_formats(veneer.facts)
        return cls(
            name or "veneer",
            lm,
            form,
            stops,
            veneer.apply(lm.head, alpha),
            stop=texts,
            fitted=fitted,
        )

    def _shown(self) -> dict[str, Any]:
        form = self.format
        reads = form.template if isinstance(form, PlainFormat) else type(form).__name__
        return {
            "name": self.name,
            "model": self.lm.name,
            "head": "its own" if self.head is None else "changed",
            "reads": reads,
        }

    def encode(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Token ids of each prompt, without the text that is forced behind it."""
        return [self.format.encode(self.lm.tokenizer, p) for p in prompts]

    def prompt_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Raises InputError for a prompt with a token that the model cannot read, and for a forced
        text with a token that ends answers."""
        self.warn_of_formats(prompts)
        check_forced(prompts, self.lm.tokenizer, self.stop_ids)
        warn_of_markup(self.lm, self.format, prompts)
        ids_of_prompts = [
            [*ids, *forced_ids(self.lm.tokenizer, p)]
            for ids, p in zip(self.encode(prompts), prompts, strict=True)
        ]
        for prompt, ids in zip(prompts, ids_of_prompts, strict=True):
            check_readable(self.lm, ids, prompt.id)
        return [len(ids) for ids in ids_of_prompts]

    def warn_of_formats(self, prompts: Sequence[Prompt]) -> None:
        """Warn where the format puts prompts in a template that the veneer was
        not fitted behind."""
        warn_of_formats(self.name, self.format, self.fitted, prompts)

    @property
    def models(self) -> dict[str, LanguageModel]:
        """The models that answer, by the part that each plays."""
        return {"model": self.lm}

    def longest(self) -> int | None:
        return self.lm.longest

    def decode(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        stop_strings: Sequence[str],
        keys: Sequence[str],
    ) -> list[Decoded]:
        """Answer one batch."""
        stop_strings = (*stop_strings, *self.stop)
        ids = self.encode(prompts)
        how = (
            replace(
                sampling,
                also_barred=(*sampling.also_barred, *((i, self.barred_steps) for i in self.barred)),
            )
            if self.barred
            else sampling
        )
        return decode(
            self.lm,
            ids,
            how,
            stop_ids=self.stop_ids,
            stop_strings=stop_strings,
            keys=keys,
            head=self.head,
            forced=[forced_ids(self.lm.tokenizer, p) for p in prompts],
        )

    def stepper(self, prompts: Sequence[Prompt]) -> ModelStepper:
        """The batch of these prompts for `decode_with` and `decode_steps` (models/decode.py), which
        need `stop_ids` and `stop` too."""
        with torch.inference_mode():
            return ModelStepper(self.lm, self.encode(prompts), self.head)

    def facts(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "model": self.lm.name,
            "fingerprint": self.lm.fingerprint(),
            "dtype": str(self.lm.head.weight.dtype),
            "format": self.format.facts(),
            "stop_ids": list(self.stop_ids),
            **({"head": "own"} if self.head is None else self.head.facts()),
            "barred": list(self.barred),
            "barred_steps": self.barred_steps,
            **({"stop": list(self.stop)} if self.stop else {}),
        }


def check_forced(prompts: Sequence[Prompt], tokenizer: Any, stop_ids: Sequence[int]) -> None:
    """Raise InputError where a forced text would end the answer that it begins."""
    ends = set(stop_ids)
    for prompt in prompts:
        if ends.intersection(forced_ids(tokenizer, prompt)):
            raise InputError(
                f"the text that is forced behind {prompt.id!r} holds a token that ends an answer "
                f"({prompt.forced[:60]!r}); expected the beginning of an answer: leave "
                "that token out"
            )


def warn_of_plain_text(
    lm: LanguageModel, chat: str, plain: str, texts: str = "these prompts"
) -> None:
    """Warn where a model has a chat template that nobody asked for. chat, plain: what a person
    gives to say which one is meant. texts: what the model reads."""
    if getattr(lm.tokenizer, "chat_template", None):
        logging.getLogger("veneer").warning(
            "veneer: %s has a chat template, but it reads %s as plain text; give %s for the "
            "template, or %s where plain text is meant",
            lm.name,
            texts,
            chat,
            plain,
        )


def pair_systems(pair: Pair, veneer: Veneer) -> list[System]:
    """The three that every study compares: base, veneer, aligned."""
    stops = pair.stop_ids
    return [
        System("base", pair.base, pair.base_format, stops),
        replace(System.of_model(pair.base, veneer, format=pair.base_format), stop_ids=stops),
        System("aligned", pair.aligned, pair.aligned_format, pair.aligned_stop_ids),
    ]


NO_EMPTY_STEPS = 12  # contract.md: end of turn barred for the first 12 tokens


def control_systems(pair: Pair, shuffled: Veneer | None) -> list[System]:
    """The controls of contract.md: base in the aligned format, aligned in base's, base that may not
    end at once, and the head-capacity control (a veneer fitted to hidden states shuffled within a
    response position)."""
    stops = pair.stop_ids
    systems = []
    if isinstance(pair.aligned_format, ChatFormat):
        chat = pair.aligned_format_for_base()
        systems.append(System("base-chat", pair.base, chat, stops, stop=pair.stop))
    elif pair.base.tokenizer.chat_template:
        systems.append(System("base-chat", pair.base, ChatFormat(), stops))
    systems += [
        System("aligned-plain", pair.aligned, pair.base_format, pair.aligned_stop_ids),
        System(
            "base-no-empty",
            pair.base,
            pair.base_format,
            stops,
            barred=stops,
            barred_steps=NO_EMPTY_STEPS,
        ),
    ]
    if shuffled is not None:
        systems.append(
            replace(
                System.of_model(pair.base, shuffled, format=pair.base_format, name="shuffled"),
                stop_ids=stops,
            )
        )
    return systems
