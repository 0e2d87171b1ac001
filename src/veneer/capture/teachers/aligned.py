"""The teacher of an ordinary capture: the aligned model of a pair answers the prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from veneer.capture.config import CaptureConfig
from veneer.capture.distributions import TopK, top_k
from veneer.capture.teacher_forcing import response_hidden
from veneer.foundation.errors import InputError
from veneer.models.control_tokens import warn_of_markup
from veneer.models.decode import Decoded, decode
from veneer.models.language_model import LanguageModel
from veneer.models.pair import Pair
from veneer.models.vocabulary import check_readable
from veneer.prompts.prompt import Prompt


@dataclass(frozen=True)
class AlignedModel:
    """The aligned model of a pair."""

    pair: Pair

    @property
    def name(self) -> str:
        return self.pair.aligned.name

    @property
    def size(self) -> int:
        return self.pair.vocabulary.size

    @property
    def stop_ids(self) -> tuple[int, ...]:
        return self.pair.stop_ids

    @property
    def models(self) -> tuple[LanguageModel, ...]:
        return (self.pair.aligned,)

    @property
    def dtype(self) -> str:
        return str(self.pair.aligned.head.weight.dtype).removeprefix("torch.")

    def inputs(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Return each prompt's token ids, the aligned model's. Raises InputError for a prompt
        without tokens."""
        warn_of_markup(self.pair.aligned, self.pair.aligned_format, prompts)
        ids_of_prompts = [
            self.pair.aligned_format.encode(self.pair.aligned.tokenizer, p) for p in prompts
        ]
        for prompt, ids in zip(prompts, ids_of_prompts, strict=True):
            if not ids:
                raise InputError(
                    f"prompt {prompt.id!r} has no tokens in the aligned model's format; "
                    "expected text"
                )
            check_readable(self.pair.aligned, ids, prompt.id)
        return ids_of_prompts

    def lengths(self, inputs: Sequence[list[int]]) -> list[int]:
        return [len(ids) for ids in inputs]

    def longest(self) -> int | None:
        return self.pair.aligned.longest

    def answer(
        self, prompts: Sequence[Prompt], keys: Sequence[str], config: CaptureConfig
    ) -> tuple[list[Decoded], list[TopK]]:
        """Generate the responses, and record the distributions while they are generated."""
        vocabulary = self.pair.vocabulary
        seen: list[list[TopK]] = [[] for _ in prompts]

        def watch(rows: Sequence[int], hidden: Tensor, logits: Tensor) -> None:
            keep(seen, rows, vocabulary.from_other(logits), config.k)

        out = decode(
            self.pair.aligned,
            self.inputs(prompts),
            config.sampling,
            stop_ids=self.pair.aligned_stop_ids,
            stop_strings=self.pair.stop,
            keys=keys,
            watch=watch,
            shift=None if vocabulary.other_rows is None else vocabulary.bar_unshared,
        )
        out = [
            replace(d, token_ids=tuple(vocabulary.ids_from_other(list(d.token_ids)))) for d in out
        ]
        return out, stacked(seen)

    def read(self, prompt: Prompt, response: list[int]) -> Tensor:
        vocabulary, aligned = self.pair.vocabulary, self.pair.aligned
        (hidden,) = response_hidden(
            aligned, self.inputs([prompt]), [vocabulary.ids_to_other(response)]
        )
        return vocabulary.from_other(aligned.head.logits(hidden))

    def facts(self) -> dict[str, Any]:
        facts = self.pair.facts()
        return {
            k: facts[k]
            for k in ("aligned", "aligned_format", "vocabulary", "stop_ids", "stop")
            if k in facts
        }


def keep(seen: list[list[TopK]], rows: Sequence[int], logits: Tensor, k: int) -> None:
    """Append the top k of one step's logits (B, size) to the steps of each row."""
    step = top_k(logits, k)
    for place, row in enumerate(rows):
        seen[row].append(TopK(*(t[place] for t in step)))


def stacked(seen: list[list[TopK]]) -> list[TopK]:
    """Return the steps of each response as one TopK with (n_i, k) entries."""
    return [TopK(*(torch.stack(column) for column in zip(*steps, strict=True))) for steps in seen]
