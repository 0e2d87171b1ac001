"""How the next token is chosen: greedy or sampled, with the usual options, one stream of random
numbers per response."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from veneer.foundation.errors import InputError, SettingError

# A lower temperature is greedy: at 1e-5 a token that is 0.001 nats less likely has no chance left.
LEAST_TEMPERATURE = 1e-5
# Beyond these, penalties and biases overflow float32 logits without changing a choice any further.
LEAST_PENALTY, MOST_PENALTY = 0.01, 100.0
MOST_SHIFT = 1e6


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. temperature 0 (below `LEAST_TEMPERATURE`) is greedy.

    Order, as in transformers' `generate`: bias, penalties and bars change the logits (of greedy
    decoding too); then temperature, top_k, top_p and min_p thin out the candidates.

    top_p: mass of the most likely tokens that are kept. top_k: number of the most likely tokens
    that are kept (ties with the last one stay), 0 all. min_p: tokens below this share of the most
    likely one's probability are left out. repetition_penalty: divides (multiplies, where negative)
    the logits of tokens that prompt or answer hold (Keskar et al. 2019, arXiv 1909.05858).
    presence_penalty, frequency_penalty: subtracted once, and once per occurrence, from the logit of
    each token of the answer so far (OpenAI's API). logit_bias: (token id, what is added to its
    logit). min_new_tokens: end tokens are barred before that many tokens. barred: token ids that
    may not be chosen during the first `barred_steps` tokens. seed: each response draws from its own
    stream, keyed by seed, prompt and sample, so neither the batch nor the order changes it.
    also_barred: (token id, number of tokens during which it may not be chosen), beside `barred`:
    what a system or a model's shipped settings bar.
    """

    max_new_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    barred: tuple[int, ...] = ()
    barred_steps: int = 0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    min_new_tokens: int = 0
    logit_bias: tuple[tuple[int, float], ...] = ()
    also_barred: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise SettingError("max_new_tokens", f"is {self.max_new_tokens}; expected 1 or more")
        if not 0 <= self.temperature < math.inf:
            raise SettingError(
                "temperature",
                f"is {self.temperature}; expected a finite number: 0 (greedy) or more",
            )
        if not 0 < self.top_p <= 1:
            raise SettingError("top_p", f"is {self.top_p}; expected a number above 0 and at most 1")
        if self.top_k < 0:
            raise SettingError("top_k", f"is {self.top_k}; expected 0 (all tokens) or more")
        if not 0 <= self.min_p <= 1:
            raise SettingError("min_p", f"is {self.min_p}; expected a number from 0 to 1")
        if not LEAST_PENALTY <= self.repetition_penalty <= MOST_PENALTY:
            raise SettingError(
                "repetition_penalty",
                f"is {self.repetition_penalty}; expected {LEAST_PENALTY:g} to {MOST_PENALTY:g} "
                "(1 is no penalty)",
            )
        for name in ("presence_penalty", "frequency_penalty"):
            if not abs(getattr(self, name)) <= MOST_SHIFT:
                raise SettingError(
                    name,
                    f"is {getattr(self, name)}; expected {-MOST_SHIFT:g} to {MOST_SHIFT:g} "
                    "(0 is no penalty)",
                )
        if not 0 <= self.min_new_tokens <= self.max_new_tokens:
            raise SettingError(
                "min_new_tokens",
                f"is {self.min_new_tokens}; expected 0 to {self.max_new_tokens}, the longest "
                "answer",
            )
        if not all(i >= 0 and abs(b) <= MOST_SHIFT for i, b in self.logit_bias):
            raise InputError(
                "logit_bias holds a negative token id or a bias that is no number from "
                f"{-MOST_SHIFT:g} to {MOST_SHIFT:g}; expected token ids with such a number each"
            )

    @property
    def greedy(self) -> bool:
        """Whether nothing is drawn."""
        return self.temperature < LEAST_TEMPERATURE

    @property
    def is_argmax(self) -> bool:
        """Whether each token is simply the most likely one: greedy, with nothing that
        changes the logits."""
        changed = (
            self.barred_steps
            or self.also_barred
            or self.logit_bias
            or self.presence_penalty
            or self.frequency_penalty
            or self.min_new_tokens
        )
        return self.greedy and self.repetition_penalty == 1 and not changed

    def facts(self) -> dict[str, Any]:
        """For manifests and stamps. Options of later versions are included only where they differ
        from their default."""
        return {
            f.name: v
            for f in fields(self)
            if (v := getattr(self, f.name)) != f.default or f.name in _ALWAYS
        }


_ALWAYS = ("max_new_tokens", "temperature", "top_p", "seed", "barred", "barred_steps")


NO_TOKEN = -1


@dataclass(slots=True)
class Answer:
    """One answer that is being decoded. prompt: its token ids, which the repetition penalty sees.
    tokens: the tokens so far; they only grow."""

    sampling: Sampling
    prompt: Sequence[int]
    key: str
    tokens: list[int] = field(default_factory=list)
    stream: torch.Generator | None = None
    _seen: Tensor | None = None
    _tokens_seen: int = 0
    _bias: tuple[Tensor, Tensor] | None = None

    def __post_init__(self) -> None:
        if not self.sampling.greedy:
            self.stream = _stream(self.sampling.seed, self.key)

    def seen(self, row: Tensor) -> Tensor:
        """Which tokens (V,) prompt and answer hold. Kept from step to step: to look through a long
        prompt at every token would slow the whole batch."""
        if self._seen is None:
            self._seen = torch.zeros_like(row, dtype=torch.bool)
            self._seen[_ids(set(self.prompt), row)] = True
        if new := self.tokens[self._tokens_seen :]:
            self._seen[_ids(set(new), row)] = True
            self._tokens_seen = len(self.tokens)
        return self._seen

    def bias(self, row: Tensor) -> tuple[Tensor, Tensor]:
        """Token ids (n,) and what is added to their logits (n,)."""
        if self._bias is None:
            pairs = [(i, b) for i, b in self.sampling.logit_bias if i < len(row)]
            self._bias = (
                torch.tensor([i for i, _ in pairs], dtype=torch.long, device=row.device),
                torch.tensor([b for _, b in pairs], dtype=row.dtype, device=row.device),
            )
        return self._bias


def choose(logits: Tensor, answers: Sequence[Answer], stop_ids: Collection[int]) -> Tensor:
    """The next token (B,) of each answer, from its logits (B, V), which stay unchanged.

    `NO_TOKEN` where an answer's own settings leave no finite logit to choose by (every token
    barred, or penalties that overflow); the other answers are not touched by it.
    """
    adjusted = _adjusted(logits, answers, stop_ids)
    chosen = _chosen(adjusted, answers)
    if adjusted is not logits:
        chosen = chosen.masked_fill(~adjusted.amax(-1).isfinite(), NO_TOKEN)
    return chosen


def _chosen(logits: Tensor, answers: Sequence[Answer]) -> Tensor:
    sampled = [place for place, a in enumerate(answers) if a.stream is not None]
    if not sampled:
        return largest(logits)
    if len(sampled) == len(answers):
        return _draw(logits, answers)
    chosen = largest(logits)
    chosen[sampled] = _draw(logits[sampled], [answers[i] for i in sampled])
    return chosen


def largest(logits: Tensor) -> Tensor:
    """The first place (B,) of the largest number in each row (B, V), as `argmax`. NumPy finds it on
    a CPU ten times as fast."""
    if logits.device.type != "cpu" or logits.dtype not in (torch.float32, torch.float64):
        return logits.argmax(-1)
    return torch.from_numpy(logits.detach().numpy().argmax(-1))


def _adjusted(logits: Tensor, answers: Sequence[Answer], stop_ids: Collection[int]) -> Tensor:
    """Logits with each answer's bias, penalties and bars."""
    own = logits
    for place, answer in enumerate(answers):
        how, step = answer.sampling, len(answer.tokens)
        barred = {
            *(how.barred if step < how.barred_steps else ()),
            *(token for token, steps in how.also_barred if step < steps),
            *(stop_ids if step < how.min_new_tokens else ()),
        }
        penalised = how.repetition_penalty != 1 or how.presence_penalty or how.frequency_penalty
        if not (barred or penalised or how.logit_bias):
            continue
        if logits is own:
            logits = own.clone()
        row = logits[place]
        if how.logit_bias:
            row.index_add_(0, *answer.bias(row))
        if how.repetition_penalty != 1:
            penalised_row = torch.where(
                row < 0, row * how.repetition_penalty, row / how.repetition_penalty
            )
            row.copy_(torch.where(answer.seen(row), penalised_row, row))
        if how.presence_penalty or how.frequency_penalty:
            counts = Counter(answer.tokens)
            ids = _ids(counts, row)
            often = torch.tensor(
                [counts[i] for i in ids.tolist()], device=row.device, dtype=row.dtype
            )
            row[ids] -= how.presence_penalty + how.frequency_penalty * often
        row[_ids(barred, row)] = -torch.inf
    return logits


def _ids(ids: Collection[int], row: Tensor) -> Tensor:
    """Those of the ids that the logits hold: a prompt may have tokens outside a
    restricted vocabulary."""
    return torch.tensor(sorted(i for i in ids if i < len(row)), dtype=torch.long, device=row.device)


def _draw(logits: Tensor, answers: Sequence[Answer]) -> Tensor:
    """Sampled tokens (B,): the cumulative distribution inverted at one uniform number per row."""

    def column(values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=logits.device)[:, None]

    temperature = column([a.sampling.temperature for a in answers])
    # The largest logit becomes 0 before the division, so that no temperature overflows it.
    above = logits.double() - logits.double().amax(-1, keepdim=True)
    p, order = torch.sort((above / temperature).softmax(-1), dim=-1, descending=True, stable=True)
    p = filtered(p, [a.sampling for a in answers])
    cumulative = p.cumsum(-1)
    u = column([float(torch.rand((), generator=a.stream, dtype=torch.float64)) for a in answers])
    # The kept ones stand in front. A row without any (its logits are not finite) raises no error,
    # which would end its neighbours: `choose` marks it.
    last = ((p > 0).sum(-1, keepdim=True) - 1).clamp(min=0)
    place = torch.searchsorted(cumulative, u * cumulative[:, -1:], right=True).minimum(last)
    return order.gather(-1, place)[:, 0]


def filtered(p: Tensor, how: Sequence[Sampling]) -> Tensor:
    """Probabilities (B, V), sorted downwards in each row, with zero where top_k, top_p or min_p
    leave a token out."""

    def column(name: str) -> Tensor:
        return torch.tensor([getattr(s, name) for s in how], dtype=torch.float64, device=p.device)[
            :, None
        ]

    mass: Tensor | float = 1.0
    if any(s.top_k for s in how):
        k = torch.tensor([min(s.top_k or p.shape[-1], p.shape[-1]) for s in how], device=p.device)[
            :, None
        ]
        p = p.masked_fill(p < p.gather(-1, k - 1), 0.0)
        # top_p counts from what top_k left
        mass = torch.where(k < p.shape[-1], p.sum(-1, keepdim=True), 1.0)
    if any(s.top_p < 1 for s in how):
        top_p = column("top_p")
        before = p.cumsum(-1) - p
        # The first token always stays, also where top_p times mass rounds to 0.
        p = p.masked_fill((before >= top_p * mass) & (top_p < 1) & (before > 0), 0.0)
    if any(s.min_p for s in how):
        p = p.masked_fill(p < column("min_p") * p[:, :1], 0.0)
    return p


def _stream(seed: int, key: str) -> torch.Generator:
    number = int.from_bytes(hashlib.sha256(f"{seed}\0{key}".encode()).digest()[:7], "big")
    return torch.Generator().manual_seed(number)
