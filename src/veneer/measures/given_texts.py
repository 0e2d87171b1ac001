"""Models on given texts: hidden states, logits in shared token ids, KL and likelihood.

Whatever compares models on texts that exist already (stored answers, plain text) reads the texts
here, by teacher forcing. Token ids of texts, and the ids that logits stand for, are those of one
model; the other one reads and answers through the vocabulary that both share.

A matrix product over another number of rows rounds differently. So the number of states whose
logits are computed together is a part of a figure, and callers choose it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from veneer.capture.teacher_forcing import response_hidden
from veneer.measures.clusters import prompt_clusters
from veneer.models.formats import Format
from veneer.models.head import Head
from veneer.models.language_model import LanguageModel
from veneer.models.pair import Pair
from veneer.models.vocabulary import Vocabulary
from veneer.prompts.prompt import Prompt
from veneer.systems.likelihood import token_logprobs
from veneer.systems.speculative import Local
from veneer.systems.system import System


@dataclass(frozen=True)
class TextModel:
    """A model that reads given texts, with the head that makes logits of its states.

    vocabulary: what the texts' model (first) shares with this one (second); None where the texts
    hold this model's own ids.
    """

    lm: LanguageModel
    head: Head
    vocabulary: Vocabulary | None = None

    @classmethod
    def base_of(cls, pair: Pair) -> TextModel:
        """A pair's base, its head cut to the shared vocabulary."""
        return cls(pair.base, pair.base.head.first_rows(pair.vocabulary.size))

    @classmethod
    def aligned_of(cls, pair: Pair) -> TextModel:
        """A pair's aligned model, which reads and answers in base's ids."""
        return cls(pair.aligned, pair.aligned.head, pair.vocabulary)

    def states(
        self, prompts: Sequence[Sequence[int]], texts: Sequence[Sequence[int]]
    ) -> list[Tensor]:
        """The states (n_i, d) from which each text's n_i tokens are predicted. prompts: this
        model's ids."""
        return response_hidden(self.lm, prompts, [self.own_ids(text) for text in texts])

    def logits(self, states: Tensor) -> Tensor:
        """(n, d) -> (n, V) in the ids of the texts."""
        logits = self.head.logits(states)
        return logits if self.vocabulary is None else self.vocabulary.from_other(logits)

    def own_ids(self, ids: Sequence[int]) -> list[int]:
        """This model's ids of a text's."""
        return list(ids) if self.vocabulary is None else self.vocabulary.ids_to_other(list(ids))


def exact_kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(exp p || exp q) in nats (n,) from log-probabilities (n, V); rounding may make it less
    than 0."""
    return (p.exp() * (p - q)).sum(-1)


def texts_of_block(block: dict[str, Tensor]) -> dict[int, list[int]]:
    """The tokens of each prompt's answer in a block of a capture (columns prompt and token), by
    prompt number, in the block's order."""
    texts: dict[int, list[int]] = {}
    for number, token in zip(block["prompt"].tolist(), block["token"].tolist(), strict=True):
        texts.setdefault(number, []).append(token)
    return texts


@dataclass
class Passages:
    """Texts of n_i tokens, each behind a prompt, or by itself (prompt None) behind the one token
    `first`.

    tokens: in the ids of one model. other: another model and what it shares with that one (in that
    one's ids). clusters: the id of the prompt behind each text (clusters.py). States are kept,
    since all systems of one backbone share them.
    """

    prompts: list[Prompt | None]
    tokens: list[tuple[int, ...]]
    first: int
    other: tuple[LanguageModel, Vocabulary] | None = None
    clusters: np.ndarray | None = None
    _states: dict[tuple[int, str], list[Tensor]] = field(default_factory=dict)

    @property
    def lengths(self) -> np.ndarray:
        """Number of tokens of each passage (n,)."""
        return np.array([len(t) for t in self.tokens], float)

    def logits(self, system: Local) -> Iterator[Tensor]:
        """The system's logits (m, V) at every token of every passage, in order, in chunks of
        `Head.at_once`."""
        states = [torch.cat(own) for own in self._read(system)]
        if isinstance(system, System):
            model = self._model(system)
            for some in states[0].split(model.head.at_once):
                yield model.logits(some)
            return
        large, small = states
        alphas = torch.tensor(
            [system.alpha.at(t) for x in self.tokens for t in range(1, len(x) + 1)],
            device=large.device,
        )
        for at in range(0, len(large), system.large.head.at_once):
            rows = slice(at, at + system.large.head.at_once)
            yield system.shift.logits(
                system.large.head, large[rows], small[rows], alphas[rows, None]
            )

    def _read(self, system: Local) -> list[list[Tensor]]:
        """The states of the passages in the model of a system, or in both that it adds."""
        if isinstance(system, System):
            return [self.states(system.lm, system.format)]
        return [
            self.states(system.large, system.format),
            self.states(system.small, system.small_format, system.shift.to_small.tolist()),
        ]

    @torch.inference_mode()
    def states(
        self, lm: LanguageModel, form: Format, to_own: Sequence[int] | None = None
    ) -> list[Tensor]:
        """Hidden states (n_i, d) of a model that reads the prompts in a format. to_own: its id of
        each of the passages' ids, where they are others and `other` does not map them."""
        key = (id(lm), json.dumps(form.facts(), sort_keys=True))
        if key not in self._states:
            model = TextModel(lm, lm.head, self._vocabulary(lm))

            def own(ids: Sequence[int]) -> list[int]:
                return model.own_ids(ids) if to_own is None else [to_own[i] for i in ids]

            before = [
                own([self.first]) if p is None else form.encode(lm.tokenizer, p)
                for p in self.prompts
            ]
            self._states[key] = response_hidden(lm, before, [own(t) for t in self.tokens])
        return self._states[key]

    def each(self, systems: Iterable[Local]) -> Iterator[Passages]:
        """Each passage by itself, all of them read together for these systems: so the logits of
        one passage at a time are in memory."""
        for system in systems:
            self._read(system)
        for number, (prompt, tokens) in enumerate(zip(self.prompts, self.tokens, strict=True)):
            states = {key: [own[number]] for key, own in self._states.items()}
            yield Passages([prompt], [tokens], self.first, self.other, _states=states)

    @torch.inference_mode()
    def kl(self, first: Local, second: Local) -> np.ndarray:
        """KL(first || second) over the vocabulary that both have, summed over each passage's
        tokens (n,), nats."""
        return np.array([float(kl.sum()) for kl in self.kl_by_token(first, second)])

    @torch.inference_mode()
    def kl_by_token(self, first: Local, second: Local) -> list[Tensor]:
        """The same at each token: one (n_i,) float64 for each passage."""
        parts = []
        for p, q in zip(self.logits(first), self.logits(second), strict=True):
            size = min(p.shape[-1], q.shape[-1])
            parts.append(exact_kl(*(x[:, :size].float().log_softmax(-1) for x in (p, q))).double())
        return list(torch.cat(parts).split([len(t) for t in self.tokens]))

    @torch.inference_mode()
    def nats(self, system: Local) -> np.ndarray:
        """-log p of each passage's tokens, summed (n,)."""
        ids = torch.tensor([t for x in self.tokens for t in x])
        parts, at = [], 0
        for logits in self.logits(system):
            parts.append(0.0 - token_logprobs(logits, ids[at : at + len(logits)]))
            at += len(logits)
        return self._sums(torch.cat(parts))

    @torch.inference_mode()
    def noise(self, system: System, most: int = 8) -> tuple[np.ndarray, np.ndarray]:
        """KL of a model's own distributions against those of another batch size (one passage at a
        time), on the first passages: (sums, numbers of tokens)."""
        model, together = self._model(system), self.states(system.lm, system.format)
        sums = []
        for prompt, tokens, states in list(zip(self.prompts, self.tokens, together, strict=True))[
            :most
        ]:
            before = (
                model.own_ids([self.first])
                if prompt is None
                else system.format.encode(system.lm.tokenizer, prompt)
            )
            (alone,) = model.states([before], [tokens])
            a, b = (model.head.logits(x).float().log_softmax(-1) for x in (states, alone))
            # One sum over tokens and vocabulary, not `exact_kl` and then the tokens' sum: the two
            # differ in the last bits, and this figure is made of little else.
            sums.append(float((a.exp() * (a - b)).sum()))
        return np.array(sums), self.lengths[: len(sums)]

    def _model(self, system: System) -> TextModel:
        return TextModel(system.lm, system.head or system.lm.head, self._vocabulary(system.lm))

    def _vocabulary(self, lm: LanguageModel) -> Vocabulary | None:
        return self.other[1] if self.other is not None and lm is self.other[0] else None

    def _sums(self, values: Tensor) -> np.ndarray:
        return np.array([float(own.sum()) for own in values.split([len(t) for t in self.tokens])])


def plain_texts(prompts: Sequence[Prompt], lm: LanguageModel) -> Passages:
    """The user's text in each prompt, as plain text without any template."""
    owners: dict[str, Prompt] = {}
    for p in prompts:
        for m in p.messages:
            if m["role"] == "user":
                owners.setdefault(m["content"], p)
    rows = [tuple(lm.tokenizer(t, add_special_tokens=False)["input_ids"]) for t in owners]
    first = lm.tokenizer.bos_token_id
    first = first if first is not None else lm.pad_id
    kept = [(p, ids) for p, ids in zip(owners.values(), rows, strict=True) if ids]
    clusters = prompt_clusters([p for p, _ in kept])
    return Passages([None] * len(kept), [ids for _, ids in kept], first, clusters=clusters)
