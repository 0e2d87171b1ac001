"""Greedy answers of many heads over one backbone: the hidden states along one head's answer serve
all other heads.

The hidden state behind a prefix does not depend on the head. So where the states along a known
answer are kept, another head's greedy answer is read off them, without decoding, as far as it is
the same; only from the first other token on must anything be decoded. The check is that of
speculative decoding (Leviathan et al. 2023, arXiv 2211.17192) with another head's answer as the
draft.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from veneer.capture.teacher_forcing import response_hidden
from veneer.models.decode import Decoded, Row, decode_steps, hits, response_parts
from veneer.models.language_model import LanguageModel
from veneer.models.sampling import Sampling
from veneer.models.stepper import ModelStepper
from veneer.prompts.prompt import Prompt
from veneer.systems.shifted import ShiftedSystem
from veneer.systems.system import System

Local = System | ShiftedSystem
KEPT = 4  # known answers per prompt; the last ones used or added
STRIDE = 16  # tokens that are compared at a time


class KnownAnswer(NamedTuple):
    """A known answer. states: (T, d) of the model, from which its tokens are predicted; small: the
    same of a shifting model."""

    ids: tuple[int, ...]
    states: Tensor
    small: Tensor | None


@dataclass
class Paths:
    """Known answers by prompt; to be shared by the systems of one backbone (and, where they shift,
    of one small model)."""

    known: dict[tuple[int, ...], list[KnownAnswer]] = field(default_factory=dict)

    def add(self, prompt: tuple[int, ...], answer: KnownAnswer) -> None:
        others = [p for p in self.known.get(prompt, []) if p.ids != answer.ids]
        self.known[prompt] = [answer, *others][:KEPT]


@dataclass(frozen=True)
class Retraced:
    """A system that answers as `system` does, up to rounding, and uses and extends the known
    answers in `paths`. Sampling, penalties, barred tokens, forced beginnings and a shift that
    changes over the answer are left to `system` itself."""

    system: Local
    paths: Paths

    @property
    def name(self) -> str:
        return self.system.name

    def prompt_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        return self.system.prompt_tokens(prompts)

    def longest(self) -> int | None:
        return self.system.longest()

    def facts(self) -> dict[str, Any]:
        return self.system.facts()

    @torch.inference_mode()
    def decode(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        stop_strings: Sequence[str],
        keys: Sequence[str],
    ) -> list[Decoded]:
        """Answer one batch."""
        if not self._applies(sampling) or any(p.forced for p in prompts):
            return self.system.decode(prompts, sampling, stop_strings, keys)
        own, small = self._encode(prompts)
        stops = (*stop_strings, *self.system.stop)
        begun = [self._begin(tuple(ids), sampling, stops) for ids in own]
        answers = list(begun)
        waiting = [
            i for i, ids in enumerate(begun) if self._reason(ids, sampling, stops, own[i]) is None
        ]
        if waiting:
            fresh = self._go_on(
                [own[i] for i in waiting],
                [small[i] for i in waiting],
                [begun[i] for i in waiting],
                sampling,
                stops,
            )
            for i, ids in zip(waiting, fresh, strict=True):
                answers[i] = ids
            self._remember([own[i] for i in waiting], [small[i] for i in waiting], fresh)
        ends = set(self.system.stop_ids)
        parts = [
            response_parts(self._lm, ids, ends, stops, prompt)
            for ids, prompt in zip(answers, own, strict=True)
        ]
        reasons = [
            self._reason(ids, sampling, stops, prompt) or "length"
            for ids, prompt in zip(answers, own, strict=True)
        ]
        return [
            Decoded(ids, p.answer, r, p.reasoning)
            for ids, p, r in zip(answers, parts, reasons, strict=True)
        ]

    @property
    def _lm(self) -> LanguageModel:
        return self.system.lm if isinstance(self.system, System) else self.system.large

    def _applies(self, sampling: Sampling) -> bool:
        if not sampling.is_argmax:
            return False
        if isinstance(self.system, System):
            return not self.system.barred_steps
        return self.system.alpha.constant is not None

    def _encode(self, prompts: Sequence[Prompt]) -> tuple[list[list[int]], list[list[int]]]:
        if isinstance(self.system, ShiftedSystem):
            return self.system.encode(prompts)
        ids = [self.system.format.encode(self.system.lm.tokenizer, p) for p in prompts]
        return ids, [[] for _ in ids]

    def _begin(
        self, prompt: tuple[int, ...], sampling: Sampling, stops: Sequence[str]
    ) -> tuple[int, ...]:
        """The longest beginning of the answer that the known answers give, with its end where they
        give that."""
        best: tuple[int, ...] = ()
        for answer in self.paths.known.get(prompt, []):
            beginning = self._ended(self._along(answer), sampling, stops, prompt)
            if len(beginning) > len(best):
                best = beginning
            if self._reason(best, sampling, stops, prompt) is not None:
                break
        return best

    def _along(self, answer: KnownAnswer) -> tuple[int, ...]:
        """This head's tokens along a known answer, up to and with the first that differs."""
        for at in range(0, len(answer.ids), STRIDE):
            own = self._logits(answer, slice(at, at + STRIDE)).argmax(-1).tolist()
            for t, (mine, known) in enumerate(
                zip(own, answer.ids[at : at + STRIDE], strict=True), at
            ):
                if mine != known:
                    return (*answer.ids[:t], mine)
        return answer.ids

    def _logits(self, answer: KnownAnswer, positions: slice) -> Tensor:
        system = self.system
        if isinstance(system, System):
            return (system.head or system.lm.head).logits(answer.states[positions])
        assert answer.small is not None
        return system.shift.logits(
            system.large.head, answer.states[positions], answer.small[positions], system.alpha.start
        )

    def _go_on(
        self,
        own: Sequence[list[int]],
        small: Sequence[list[int]],
        begun: Sequence[tuple[int, ...]],
        sampling: Sampling,
        stops: Sequence[str],
    ) -> list[tuple[int, ...]]:
        """Whole answers behind their beginnings."""
        system = self.system
        if isinstance(system, System):
            before = [[*p, *b] for p, b in zip(own, begun, strict=True)]
            stepper: Any = ModelStepper(system.lm, before, system.head)
        else:
            stepper = system.stepper_of_ids(own, small, begun)
        rows = [
            Row(
                replace(sampling, max_new_tokens=sampling.max_new_tokens - len(b)),
                str(i),
                tuple(stops),
                b,
            )
            for i, b in enumerate(begun)
        ]
        out = [list(b) for b in begun]
        for tokens in decode_steps(stepper, rows, stop_ids=system.stop_ids):
            for token in tokens:
                out[token.row].append(token.id)
        return [
            self._ended(tuple(ids), sampling, stops, prompt)
            for ids, prompt in zip(out, own, strict=True)
        ]

    def _remember(
        self,
        own: Sequence[list[int]],
        small: Sequence[list[int]],
        answers: Sequence[tuple[int, ...]],
    ) -> None:
        states = response_hidden(self._lm, own, answers)
        beside: Sequence[Tensor | None] = [None] * len(states)
        if isinstance(self.system, ShiftedSystem):
            to_small = self.system.shift.to_small.tolist()
            beside = response_hidden(
                self.system.small, small, [[to_small[i] for i in a] for a in answers]
            )
        for prompt, ids, h, s in zip(own, answers, states, beside, strict=True):
            self.paths.add(tuple(prompt), KnownAnswer(ids, h, s))

    def _ended(
        self, ids: tuple[int, ...], sampling: Sampling, stops: Sequence[str], prompt: Sequence[int]
    ) -> tuple[int, ...]:
        """Cut behind the first token that ends the answer; a stop string may begin in one part and
        end in the next."""
        ids = ids[: sampling.max_new_tokens]
        ends = set(self.system.stop_ids)
        for t, token in enumerate(ids):
            if token in ends or (stops and hits(self._lm.tokenizer, ids[: t + 1], stops, prompt)):
                return ids[: t + 1]
        return ids

    def _reason(
        self, ids: tuple[int, ...], sampling: Sampling, stops: Sequence[str], prompt: Sequence[int]
    ) -> str | None:
        if ids and (
            ids[-1] in self.system.stop_ids
            or (stops and hits(self._lm.tokenizer, ids, stops, prompt))
        ):
            return "stop"
        return "length" if len(ids) >= sampling.max_new_tokens else None
