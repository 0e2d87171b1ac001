"""A capture as the teacher of another: the stored responses of the aligned model, read by another
base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from veneer.capture.artefact import Capture
from veneer.capture.config import CaptureConfig
from veneer.capture.distributions import TopK
from veneer.foundation.errors import InputError
from veneer.models.decode import Decoded
from veneer.models.language_model import LanguageModel
from veneer.prompts.prompt import Prompt

COLUMNS = ("prompt", "token", "aligned_ids", "aligned_logprobs", "aligned_tail")


@dataclass(frozen=True)
class CapturedTeacher:
    """See teacher.py. Responses and distributions come from `capture`, in its token ids, which must
    be those of `base`, the model that will read them. Raises InputError where they are not."""

    capture: Capture
    base: LanguageModel
    numbers: dict[tuple[str, str], int] = field(init=False)

    def __post_init__(self) -> None:
        if (
            self.capture.tokenizer.get_vocab() != self.base.tokenizer.get_vocab()
            or self.size > self.base.head.rows
        ):
            raise InputError(
                f"{self.capture.folder} holds token ids of another vocabulary than that of "
                f"{self.base.name}; expected a capture of a base with the same tokenizer"
            )
        numbers = {
            (self.capture.prompts[n]["task"], self.capture.prompts[n]["id"]): n
            for n in self.capture.prompt_numbers
        }
        object.__setattr__(self, "numbers", numbers)

    @property
    def name(self) -> str:
        return str(self.capture.manifest["aligned"]["name"])

    @property
    def size(self) -> int:
        return int(self.capture.manifest["head"]["rows"])

    @property
    def stop_ids(self) -> tuple[int, ...]:
        return tuple(sorted({*self.base.stop_ids, *self.capture.manifest["stop_ids"]}))

    @property
    def models(self) -> tuple[LanguageModel, ...]:
        return ()

    def answers(self, prompts: Sequence[Prompt]) -> list[Prompt]:
        """Return those of the prompts that the capture holds."""
        return [p for p in prompts if (p.task, p.id) in self.numbers]

    def inputs(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Return the stored answers' token ids. Raises InputError for a prompt that the capture
        does not hold."""
        return [ids for ids, _ in self._read(prompts)]

    def lengths(self, inputs: Sequence[list[int]]) -> list[int]:
        return [len(ids) for ids in inputs]

    def longest(self) -> int | None:
        return None

    def answer(
        self, prompts: Sequence[Prompt], keys: Sequence[str], config: CaptureConfig
    ) -> tuple[list[Decoded], list[TopK]]:
        """Return the stored answers, cut at `config.sampling.max_new_tokens`, with as many
        log-probabilities per token as the capture keeps."""
        most, stops = config.sampling.max_new_tokens, set(self.stop_ids)
        decoded, seen = [], []
        for ids, top in self._read(prompts):
            kept = ids[:most]
            decoded.append(Decoded(tuple(kept), "", "stop" if kept[-1] in stops else "length"))
            seen.append(TopK(*(t[:most] for t in top)))
        return decoded, seen

    def facts(self) -> dict[str, Any]:
        manifest = self.capture.manifest
        teacher = manifest.get("teacher", {"kind": "capture", "targets": "distributions"})
        return {
            **{k: manifest[k] for k in ("aligned", "aligned_format", "vocabulary")},
            "stop_ids": list(self.stop_ids),
            "teacher": {**teacher, "prompts_sha256": manifest["prompts_sha256"]},
        }

    def _read(self, prompts: Sequence[Prompt]) -> list[tuple[list[int], TopK]]:
        wanted = []
        for p in prompts:
            if (p.task, p.id) not in self.numbers:
                raise InputError(
                    f"{self.capture.folder} has no answer to prompt {p.id!r} of {p.task}; leave "
                    "the prompt out, or capture again"
                )
            wanted.append(self.numbers[p.task, p.id])
        answers: dict[int, tuple[list[int], TopK]] = {}
        for block in self.capture.blocks(COLUMNS, wanted):
            for n in block["prompt"].unique().tolist():
                rows = block["prompt"] == n
                ids, logprobs, tail = (block[c][rows] for c in COLUMNS[2:])
                answers[n] = (
                    block["token"][rows].tolist(),
                    TopK(ids, logprobs, tail, torch.zeros(len(ids))),
                )
        return [answers[n] for n in wanted]
