"""Samples of a system behind a fixed prefix: the system writes the question itself, and then the
answer (Barbero et al. 2025, arXiv 2510.18554)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from veneer.models.decode import Decoded, Row, Sampling, decode_steps
from veneer.models.formats import encode_text
from veneer.models.language_model import LanguageModel
from veneer.models.stepper import ModelStepper
from veneer.prompts.prompt import Prompt
from veneer.studies.leak.turns import ASSISTANT, USER, Turns, begun_ids, special_tokens
from veneer.systems.system import System


@dataclass(frozen=True)
class Sampler:
    """A system that goes on behind a prefix. It answers one prompt, the prefix, many times.

    turns: of the model's chat template; None for a prefix that is a text of the user's own and a
    model without a template. kind: of the prefix, as in the settings. also_special: tokenizers
    whose special tokens end a text too: a base may write those of the template as plain text.
    """

    system: System
    turns: Turns | None
    kind: str
    also_special: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        return self.system.name

    @property
    def lm(self) -> LanguageModel:
        return self.system.lm

    @property
    def prefix(self) -> str:
        """The text that samples follow."""
        return self.turns.prefix(self.kind) if self.turns else self.kind

    def prompt(self, task: str) -> Prompt:
        return Prompt.from_text("prefix", self.prefix, task=task)

    @property
    def models(self) -> dict[str, LanguageModel]:
        return self.system.models

    def encode(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        # a text of the user's own is read as it was typed
        read = begun_ids if self.kind in (USER, ASSISTANT) else encode_text
        return [read(self.lm.tokenizer, p.plain) for p in prompts]

    def prompt_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        return [len(ids) for ids in self.encode(prompts)]

    def longest(self) -> int | None:
        return self.lm.longest

    def facts(self) -> dict[str, Any]:
        return {**self.system.facts(), "prefix": self.prefix, "kind": self.kind}

    def decode(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        stop_strings: Sequence[str],
        keys: Sequence[str],
    ) -> list[Decoded]:
        """Draw one sample per prompt; the text keeps its special tokens."""
        stepper = ModelStepper(self.lm, self.encode(prompts), self.system.head)
        rows = [Row(sampling, key, raw=True) for key in keys]
        written: list[list[int]] = [[] for _ in rows]
        ended: set[int] = set()
        for tokens in decode_steps(stepper, rows, stop_ids=(), given_up=ended):
            for token in tokens:
                written[token.row].append(token.id)
                if token.id in self.system.stop_ids and self._ends(written[token.row]):
                    ended.add(token.row)
        return [
            Decoded(tuple(ids), self.text(ids), "stop" if row in ended else "length")
            for row, ids in enumerate(written)
        ]

    def text(self, ids: Sequence[int]) -> str:
        """A sample's text with its special tokens."""
        return self.lm.tokenizer.decode(list(ids), skip_special_tokens=False)

    def parts(self, ids: Sequence[int]) -> tuple[str, str]:
        """A sample's question and answer."""
        special = special_tokens(self.lm.tokenizer, *self.also_special)
        if self.turns is None:
            text = self.text(ids)
            return special.split(text)[0].strip(), ""
        return self.turns.split(self.text(ids), self.kind, special)

    def _ends(self, ids: Sequence[int]) -> bool:
        """Whether a sample that has just come to a stop token is whole. The token that ends a
        question is no end, where the template ends turns with it."""
        if self.kind == ASSISTANT or self.turns is None:
            return True
        stops = [i for i in ids if i in self.system.stop_ids]
        opens = self.turns.header.lstrip().startswith(self.text(ids[-1:]))
        return len(stops) > 1 or not opens
