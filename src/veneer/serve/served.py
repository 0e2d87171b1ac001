"""A served system: its id, and the token ids of a request's messages or texts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from veneer.capture.teacher_forcing import response_hidden
from veneer.foundation.errors import InputError
from veneer.models.formats import Format, PlainFormat, encode_text
from veneer.models.language_model import LanguageModel
from veneer.models.sampling import Sampling
from veneer.models.stepper import ModelStepper, Stepper
from veneer.models.templates import with_system
from veneer.models.token_texts import TokenTexts
from veneer.prompts.prompt import Prompt
from veneer.serve.errors import ApiError
from veneer.systems.shifted import ShiftedSystem
from veneer.systems.system import System

SCORED_TOKENS = 256  # positions whose logits are held at once


class PromptIds(NamedTuple):
    """ids: the prompt's token ids. small: those that the small model of a shifted system reads."""

    ids: tuple[int, ...]
    small: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Served:
    """A served system.

    join_turns: a conversation of several turns becomes plain text by joining their contents with an
    empty line between; otherwise a system that reads plain text accepts one user message only.
    more: facts beside the system's own (its veneer). settings: the values of options that a request
    leaves open; its temperature 0 stands for OpenAI's 1. Raises InputError for a chat format
    without a template.
    """

    system: System | ShiftedSystem
    join_turns: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)
    created: int = field(default_factory=lambda: int(time.time()))
    settings: Sampling = field(default_factory=Sampling)
    tokens: TokenTexts = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokens", TokenTexts(self.lm.tokenizer))
        # also fixes the tokenizer's settings
        start, form = Prompt.from_text("start", "Hello"), self._formats()[0]
        try:
            form.encode(self.lm.tokenizer, start)
        except InputError:
            if isinstance(form, PlainFormat):
                raise
            # a template may need a system text, which each request brings
            start = replace(start, messages=tuple(with_system(start.messages)))
            form.encode(self.lm.tokenizer, start)

    @property
    def id(self) -> str:
        return self.system.name

    @property
    def lm(self) -> LanguageModel:
        """The model whose token ids answers have."""
        return self.system.large if isinstance(self.system, ShiftedSystem) else self.system.lm

    # prompts

    def of_messages(self, messages: Sequence[dict[str, str]]) -> PromptIds:
        """Return a conversation in the system's own format. Raises ApiError (400) where the format
        cannot hold it."""
        plain = (
            self._plain(messages)
            if any(f.facts()["kind"] == "plain" for f in self._formats())
            else messages[-1]["content"]
        )
        prompt = Prompt("request", tuple(messages), plain)
        try:
            if isinstance(self.system, ShiftedSystem):
                (ids,), (small,) = self.system.encode([prompt])
                return self._checked(ids, small)
            return self._checked(self.system.format.encode(self.lm.tokenizer, prompt))
        except InputError as error:  # a chat template that will not have these roles
            raise ApiError(400, str(error), param="messages") from None

    def _formats(self) -> list[Format]:
        system = self.system
        return (
            [system.format, system.small_format]
            if isinstance(system, ShiftedSystem)
            else [system.format]
        )

    def _plain(self, messages: Sequence[dict[str, str]]) -> str:
        if self.join_turns:
            return "\n\n".join(m["content"] for m in messages if m["content"])
        if len(messages) != 1 or messages[0]["role"] != "user":
            roles = ", ".join(m["role"] for m in messages[:8])
            raise ApiError(
                400,
                f"{self.id!r} reads plain text and takes one user message, found {len(messages)} "
                f"({roles}); send one, or /v1/completions with the whole text (a server started "
                "with --join-turns joins them)",
                param="messages",
            )
        return messages[0]["content"]

    def of_text(self, text: str) -> PromptIds:
        """Return a text behind the tokenizer's own BOS, in no format."""
        return self._checked(encode_text(self.lm.tokenizer, text))

    def of_ids(self, ids: Sequence[int]) -> PromptIds:
        if (largest := max(ids)) >= self.lm.head.rows:
            raise ApiError(
                400,
                f"the prompt has the token id {largest}; {self.id!r} has {self.lm.head.rows}",
                param="prompt",
            )
        return self._checked(ids)

    def _checked(self, ids: Sequence[int], small: Sequence[int] | None = None) -> PromptIds:
        if not ids:  # the tokenizer has no BOS
            ids = [
                self.lm.tokenizer.bos_token_id
                if self.lm.tokenizer.bos_token_id is not None
                else self.lm.pad_id
            ]
        if isinstance(self.system, ShiftedSystem) and small is None:
            small = self.system.shift.small_ids(torch.tensor(ids, device=self.lm.device)).tolist()
        return PromptIds(tuple(ids), None if small is None else tuple(small))

    # answers

    def stepper(self, prompts_read: Sequence[PromptIds]) -> Stepper:
        prompts = [a.ids for a in prompts_read]
        if isinstance(self.system, ShiftedSystem):
            return self.system.stepper_of_ids(prompts, [a.small or () for a in prompts_read])
        with torch.inference_mode():
            return ModelStepper(self.system.lm, prompts, self.system.head)

    def positions(self, prompts: Sequence[PromptIds]) -> Iterator[Tensor]:
        """Yield logits (n, V) behind each token of each prompt, in their order, in chunks."""
        first = [a.ids[:1] for a in prompts]
        # the last one is not read: it stands for the token to come
        rest = [[*a.ids[1:], a.ids[-1]] for a in prompts]
        if isinstance(self.system, ShiftedSystem):
            small = [(a.small or ())[:1] for a in prompts]
            yield from self.system.forced_logits_of_ids(first, small, rest, chunk=SCORED_TOKENS)
            return
        head = self.system.head or self.system.lm.head
        for states in torch.cat(response_hidden(self.system.lm, first, rest)).split(SCORED_TOKENS):
            yield head.logits(states)

    def can_score(self) -> bool:
        """Return whether a prompt's own tokens have log-probabilities: not where the shift depends
        on the place where the answer begins."""
        return not isinstance(self.system, ShiftedSystem) or self.system.alpha.constant is not None

    # facts

    def card(self) -> dict[str, Any]:
        return {"id": self.id, "object": "model", "created": self.created, "owned_by": "veneer"}

    def facts(self) -> dict[str, Any]:
        """Return the card, and all that decides the answers: models with fingerprints, the veneer,
        alpha, formats. Folders lose their path."""
        return {
            **self.card(),
            "max_model_len": self.system.longest(),
            **_without_paths({"system": self.system.facts(), **self.more}),
        }


def _without_paths(value: Any) -> Any:
    """Return names of models without their folders' paths; both sides of `ADAPTER@BASE`."""
    if isinstance(value, dict):
        return {
            k: "@".join(map(_bare, v.split("@"))) if k == "model" else _without_paths(v)
            for k, v in value.items()
        }
    return [_without_paths(v) for v in value] if isinstance(value, list) else value


def _bare(name: str) -> str:
    return (
        Path(name).name
        if Path(name).is_absolute() or name.startswith((".", "~")) or Path(name).exists()
        else name
    )
