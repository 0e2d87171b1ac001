"""The interface that a decoding loop drives: it gives a batch's next-token logits and is fed the
tokens that were chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from veneer.models.head import Head
from veneer.models.language_model import LanguageModel
from veneer.models.reader import Reader
from veneer.models.shift import LogitShift
from veneer.models.vocabulary import Vocabulary

BARRED = -1e9  # a log-probability that is never chosen, and finite


class Stepper(Protocol):
    """A batch on its way. Ids, in and out, are those of `tokenizer`."""

    @property
    def name(self) -> str: ...

    @property
    def tokenizer(self) -> Any: ...

    @property
    def prompts(self) -> Sequence[Sequence[int]]:
        """Token ids of each row's prompt, as given; `keep` does not change them."""
        ...

    @property
    def hidden(self) -> Tensor:
        """The last step's hidden states (B, d)."""
        ...

    def logits(self) -> Tensor:
        """Logits (B, V) of the next token; reads the tokens fed since the last call. To be
        called once a step."""
        ...

    def feed(self, chosen: Tensor) -> None:
        """Append one token (B,) to each row."""
        ...

    def keep(self, places: Tensor) -> None:
        """Go on with these rows only, in this order; they may be repeated."""
        ...


class ModelStepper:
    """One model. head: another head over the same backbone (a veneer's)."""

    def __init__(
        self, lm: LanguageModel, prompts: Sequence[Sequence[int]], head: Head | None = None
    ):
        self.name, self.tokenizer, self.prompts = lm.name, lm.tokenizer, prompts
        self.hidden: Tensor = torch.empty(0)
        self._head = head or lm.head
        self._reader = Reader(lm, prompts)

    def logits(self) -> Tensor:
        self.hidden = self._reader.hidden()
        return self._reader.prepared(self._head).logits(self.hidden)

    def feed(self, chosen: Tensor) -> None:
        self._reader.feed(chosen)

    def keep(self, places: Tensor) -> None:
        self._reader.keep(places)


class ShiftedStepper:
    """logits_L + alpha(t) * dW h_s at response position t: a large model with a small one's veneer.

    Chen et al., NAACL 2025 (arXiv 2502.04602), transfer. The sum comes before the large model's
    own scale and cap. Each model reads its own prompts in its own ids, and both read every chosen
    token. Once alpha is 0 for good, the small model rests.
    """

    def __init__(
        self,
        large: LanguageModel,
        small: LanguageModel,
        prompts: Sequence[Sequence[int]],
        small_prompts: Sequence[Sequence[int]],
        shift: LogitShift,
        alpha: Callable[[int], float],
        last: int | None = None,
        *,
        begun: Sequence[int] | None = None,
    ):
        """alpha: strength at a 1-based response position. last: the last position with a strength
        other than 0; None: there is none. begun: how many of each prompt's last tokens belong to
        the response already; None: none."""
        self.name, self.tokenizer, self.prompts = large.name, large.tokenizer, prompts
        self.hidden: Tensor = torch.empty(0)
        self._shift, self._alpha, self._last = shift, alpha, last
        self._large = Reader(large, prompts)
        # the response position of each row's next token
        self._positions = [1 + n for n in begun or [0] * len(prompts)]
        shifts = last is None or min(self._positions) <= last
        self._small = Reader(small, small_prompts) if shifts else None

    def logits(self) -> Tensor:
        self.hidden = self._large.hidden()
        head = self._large.head
        if self._small is None:
            return head.logits(self.hidden)
        return self._shift.logits(head, self.hidden, self._small.hidden(), self._alphas())

    def feed(self, chosen: Tensor) -> None:
        self._positions = [p + 1 for p in self._positions]
        if self._last is not None and min(self._positions) > self._last:
            self._small = None
        self._large.feed(chosen)
        if self._small is not None:
            self._small.feed(self._shift.small_ids(chosen))

    def keep(self, places: Tensor) -> None:
        self._positions = [self._positions[p] for p in places.tolist()]
        self._large.keep(places)
        if self._small is not None:
            self._small.keep(places)

    def _alphas(self) -> float | Tensor:
        """The strength at each row's position (B, 1), or one number where all are equal."""
        alphas = [self._alpha(p) for p in self._positions]
        if len(set(alphas)) == 1:
            return alphas[0]
        return torch.tensor(alphas, device=self.hidden.device, dtype=self.hidden.dtype)[:, None]


class AmplifiedStepper:
    """log p_A + alpha (log p_C - log p_A) at each step: two models whose difference is amplified.

    Ids are those of C and of the vocabulary that both share. alpha 0 is A, 1 is C, more goes beyond
    C (Contrastive Decoding Diffing, arXiv 2605.25902). plausible: beyond 1, only tokens that C
    finds at least this share as likely as its first choice are left (the constraint of contrastive
    decoding, Li et al. 2023, arXiv 2210.15097, eq. 2): without it large strengths choose tokens
    that neither model would write.
    """

    def __init__(
        self,
        audited: LanguageModel,
        reference: LanguageModel,
        vocabulary: Vocabulary,
        prompts: Sequence[Sequence[int]],
        reference_prompts: Sequence[Sequence[int]],
        alpha: float,
        plausible: float = 0.0,
    ):
        """prompts, reference_prompts: each model's own ids."""
        self.name, self.tokenizer, self.prompts = audited.name, audited.tokenizer, prompts
        self.hidden: Tensor = torch.empty(0)
        self._vocabulary, self._alpha, self._plausible = vocabulary, alpha, plausible
        self._readers = Reader(audited, prompts), Reader(reference, reference_prompts)

    def logits(self) -> Tensor:
        own, other = self._readers
        self.hidden = own.hidden()
        head = own.head.first_rows(self._vocabulary.size)
        c = head.logits(self.hidden).float().log_softmax(-1)
        a = self._vocabulary.from_other(other.head.logits(other.hidden())).float()
        a = a.log_softmax(-1)
        mixed = a + self._alpha * (c - a)
        if self._alpha > 1 and self._plausible:
            low = c < c.amax(-1, keepdim=True) + math.log(self._plausible)
            mixed = mixed.masked_fill(low, BARRED)
        return mixed

    def feed(self, chosen: Tensor) -> None:
        own, other = self._readers
        own.feed(chosen)
        table = self._vocabulary.to_other
        other.feed(chosen if table is None else table.to(chosen.device)[chosen])

    def keep(self, places: Tensor) -> None:
        for reader in self._readers:
            reader.keep(places)
