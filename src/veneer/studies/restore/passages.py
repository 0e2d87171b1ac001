"""What systems make of texts that are there already: how far their distributions are apart, and how
well they predict plain text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from veneer.capture.teacher_forcing import response_hidden
from veneer.models.formats import Format
from veneer.models.language_model import LanguageModel
from veneer.models.vocabulary import Vocabulary
from veneer.prompts.prompt import Prompt
from veneer.systems.speculative import Local
from veneer.systems.system import System


@dataclass
class Passages:
    """Texts of n_i tokens, each behind a prompt, or by itself (prompt None) behind the
    one token `first`.

    Token ids are those of the model under restoration. other: the aligned model's vocabulary
    against it, for that model's part. Hidden states are kept, since all candidates of one
    backbone share them.
    """

    prompts: list[Prompt | None]
    tokens: list[tuple[int, ...]]
    first: int
    other: tuple[LanguageModel, Vocabulary] | None = None
    _states: dict[tuple[int, str], list[Tensor]] = field(default_factory=dict)

    @property
    def lengths(self) -> np.ndarray:
        return np.array([len(t) for t in self.tokens], float)

    def logits(self, system: Local) -> Iterator[Tensor]:
        """The system's logits (n, V) at every token of every passage, in order, chunk by chunk."""
        if isinstance(system, System):
            states = torch.cat(self.states(system.lm, system.format))
            head = system.head or system.lm.head
            for part in states.split(head.at_once):
                yield self._own(system.lm, head.logits(part))
            return
        large = torch.cat(self.states(system.large, system.format))
        small = torch.cat(
            self.states(system.small, system.small_format, system.shift.to_small.tolist())
        )
        alphas = torch.tensor(
            [system.alpha.at(t) for x in self.tokens for t in range(1, len(x) + 1)],
            device=large.device,
        )
        for at in range(0, len(large), system.large.head.at_once):
            part = slice(at, at + system.large.head.at_once)
            yield system.shift.logits(
                system.large.head, large[part], small[part], alphas[part, None]
            )

    @torch.inference_mode()
    def states(
        self, lm: LanguageModel, form: Format, to_own: Sequence[int] | None = None
    ) -> list[Tensor]:
        """Hidden states (n_i, d) of a model that reads the prompts in a format. to_own: its ids,
        where they are others."""
        key = (id(lm), json.dumps(form.facts(), sort_keys=True))
        if key not in self._states:
            if (
                self.other is not None
                and lm is self.other[0]
                and to_own is None
                and self.other[1].to_other is not None
            ):
                to_own = self.other[1].to_other.tolist()

            def own(ids: Sequence[int]) -> list[int]:
                return list(ids) if to_own is None else [to_own[i] for i in ids]

            before = [
                own([self.first]) if p is None else form.encode(lm.tokenizer, p)
                for p in self.prompts
            ]
            self._states[key] = response_hidden(lm, before, [own(t) for t in self.tokens])
        return self._states[key]

    def _own(self, lm: LanguageModel, logits: Tensor) -> Tensor:
        """In the ids of the passages."""
        return (
            self.other[1].from_other(logits)
            if self.other is not None and lm is self.other[0]
            else logits
        )

    @torch.inference_mode()
    def kl(self, first: Local, second: Local) -> np.ndarray:
        """KL(first || second) over the vocabulary that both have, summed over each passage's
        tokens (n,), nats."""
        found = []
        for p, q in zip(self.logits(first), self.logits(second), strict=True):
            size = min(p.shape[-1], q.shape[-1])
            a, b = (x[:, :size].float().log_softmax(-1) for x in (p, q))
            found.append((a.exp() * (a - b)).sum(-1).double())
        return self._sums(torch.cat(found))

    @torch.inference_mode()
    def nats(self, system: Local) -> np.ndarray:
        """-log p of each passage's tokens, summed (n,)."""
        wanted = torch.tensor([t for x in self.tokens for t in x])
        found, at = [], 0
        for logits in self.logits(system):
            ids = wanted[at : at + len(logits)].to(logits.device)
            found.append((logits.logsumexp(-1) - logits.gather(1, ids[:, None])[:, 0]).double())
            at += len(logits)
        return self._sums(torch.cat(found))

    @torch.inference_mode()
    def noise(self, system: System, most: int = 8) -> tuple[np.ndarray, np.ndarray]:
        """KL of a model's own distributions against those of another batch size (one passage at a
        time), on the first passages: (sums, numbers of tokens)."""
        head, together = system.head or system.lm.head, self.states(system.lm, system.format)
        sums = []
        for prompt, tokens, states in list(zip(self.prompts, self.tokens, together, strict=True))[
            :most
        ]:
            before = (
                [self.first]
                if prompt is None
                else system.format.encode(system.lm.tokenizer, prompt)
            )
            (alone,) = response_hidden(system.lm, [before], [list(tokens)])
            a, b = (head.logits(x).float().log_softmax(-1) for x in (states, alone))
            sums.append(float((a.exp() * (a - b)).sum()))
        return np.array(sums), self.lengths[: len(sums)]

    def _sums(self, values: Tensor) -> np.ndarray:
        return np.array([float(part.sum()) for part in values.split([len(t) for t in self.tokens])])


def plain_texts(prompts: Sequence[Prompt], lm: LanguageModel) -> Passages:
    """What the user says in each prompt, as plain text without any template."""
    texts = list(
        dict.fromkeys(m["content"] for p in prompts for m in p.messages if m["role"] == "user")
    )
    rows = [list(lm.tokenizer(t, add_special_tokens=False)["input_ids"]) for t in texts]
    first = lm.tokenizer.bos_token_id
    first = first if first is not None else lm.pad_id
    kept = [tuple(r) for r in rows if r]
    return Passages([None] * len(kept), kept, first)
