"""A shifted system as the teacher of a capture of its own large model: what `bake` learns from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from veneer.capture.config import CaptureConfig
from veneer.capture.distributions import TopK
from veneer.capture.teachers.aligned import keep, stacked
from veneer.foundation.errors import InputError
from veneer.foundation.files import sha256_text
from veneer.models.decode import Decoded, decode_with
from veneer.models.language_model import LanguageModel
from veneer.models.vocabulary import match_vocabularies
from veneer.prompts.prompt import Prompt
from veneer.systems.shifted import ShiftedSystem


@dataclass(frozen=True)
class ShiftedTeacher:
    """See capture/teachers/aligned.py. Base of the capture is `system.large`, whose ids
    the responses have."""

    system: ShiftedSystem

    @property
    def name(self) -> str:
        return self.system.name

    @property
    def size(self) -> int:
        return self.system.large.head.rows

    @property
    def stop_ids(self) -> tuple[int, ...]:
        return self.system.stop_ids

    @property
    def models(self) -> tuple[LanguageModel, ...]:
        return (self.system.large, self.system.small)

    @property
    def dtype(self) -> str:
        return str(self.system.large.head.weight.dtype).removeprefix("torch.")

    def inputs(self, prompts: Sequence[Prompt]) -> list[tuple[list[int], list[int]]]:
        """Token ids as the large model reads them, and as the small one does."""
        ids_of_prompts = list(zip(*self.system.encode(prompts), strict=True))
        for prompt, ids in zip(prompts, ids_of_prompts, strict=True):
            if not all(ids):
                raise InputError(
                    f"prompt {prompt.id!r} has no tokens in the large or the small model's "
                    "format; expected text"
                )
        return ids_of_prompts

    def lengths(self, inputs: Sequence[tuple[list[int], list[int]]]) -> list[int]:
        return [max(map(len, ids)) for ids in inputs]

    def longest(self) -> int | None:
        return self.system.longest()

    def answer(
        self, prompts: Sequence[Prompt], keys: Sequence[str], config: CaptureConfig
    ) -> tuple[list[Decoded], list[TopK]]:
        """Answer one batch; the shifted distributions are those of the generation."""
        seen: list[list[TopK]] = [[] for _ in prompts]

        def watch(rows: Sequence[int], hidden: Tensor, logits: Tensor) -> None:
            keep(seen, rows, logits, config.k)

        system = self.system
        out = decode_with(
            system.stepper(prompts),
            config.sampling,
            stop_ids=system.stop_ids,
            stop_strings=system.stop,
            keys=keys,
            watch=watch,
        )
        return out, stacked(seen)

    def read(self, prompt: Prompt, response: list[int]) -> Tensor:
        return torch.cat(list(self.system.forced_logits([prompt], [response])))

    def facts(self) -> dict[str, Any]:
        system, facts = self.system, self.system.facts()
        name = (
            f"{system.large.name} shifted by {system.alpha} times the veneer of {system.small.name}"
        )
        return {
            "aligned": {
                "name": name,
                "fingerprint": sha256_text(json.dumps(facts)),
                "dtype": self.dtype,
            },
            "aligned_format": system.format.facts(),
            "vocabulary": match_vocabularies(system.large, system.large).facts(),
            "stop_ids": list(system.stop_ids),
            **({"stop": list(system.stop)} if system.stop else {}),
            "teacher": {"kind": "shifted", "targets": "distribution", "system": facts},
        }
