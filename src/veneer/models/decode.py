"""Batched decoding: greedy or sampled, finished rows leave the batch, and whoever wants to may watch the logits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from veneer.errors import InputError, VeneerError
from veneer.models.head import Head
from veneer.models.language_model import LanguageModel
from veneer.models.prefix import start


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. temperature 0 is greedy; top_p is applied after the temperature.

    seed: each response draws from its own stream, keyed by seed, prompt and sample, so neither the batch nor the order
    changes it. barred: token ids that may not be chosen during the first `barred_steps` tokens.
    """

    max_new_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    barred: tuple[int, ...] = ()
    barred_steps: int = 0

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise InputError(f"max_new_tokens is {self.max_new_tokens}; expected 1 or more")
        if not self.temperature >= 0:
            raise InputError(f"temperature is {self.temperature}; expected 0 (greedy) or more")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p is {self.top_p}; expected a number above 0 and at most 1")

    def facts(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Decoded:
    """token_ids: the response with its end token, if any. finish_reason: "stop" or "length". text: without special tokens,
    cut at a stop string."""

    token_ids: tuple[int, ...]
    text: str
    finish_reason: str


Watcher = Callable[[Sequence[int], Tensor, Tensor], None]  # (row numbers, hidden (B, d), logits (B, V)) of one step


@torch.inference_mode()
def decode(
    lm: LanguageModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    *,
    stop_ids: Sequence[int],
    stop_strings: Sequence[str] = (),
    keys: Sequence[str] | None = None,
    head: Head | None = None,
    shift: Callable[[Tensor], Tensor] | None = None,
    watch: Watcher | None = None,
) -> list[Decoded]:
    """Decode one batch.

    prompts: token ids per row. keys: a name per row that seeds its sampling (prompt and sample id). head: another head
    over the same backbone (a veneer's). shift: maps logits (B, V) to the logits (B, V') that are decoded (a restriction to a
    shared vocabulary); ids are then the result's. watch: called each step before a token is chosen.
    Raises VeneerError where logits are not finite.
    """
    head = head or lm.head
    rows = list(range(len(prompts)))
    out: list[list[int]] = [[] for _ in rows]
    reasons = ["length"] * len(rows)
    stops = set(stop_ids)
    streams = [_stream(sampling.seed, keys[r] if keys else str(r)) for r in rows] if sampling.temperature > 0 else []
    new, mask, cache = start(lm, prompts, side="left")  # new: ids that the cache has not seen
    ids = new
    tail = max((len(s) for s in stop_strings), default=0) + 8  # a token may add no visible character
    for step in range(sampling.max_new_tokens):
        hidden = lm.hidden(new, mask, cache)[:, -1]  # (B, d)
        logits = head.logits(hidden)  # (B, V)
        if shift is not None:
            logits = shift(logits)
        if not torch.isfinite(logits).all():
            raise VeneerError(
                f"{lm.name} gives logits that are not finite at response position {step + 1}; its weights may be damaged"
            )
        if watch is not None:
            watch(rows, hidden, logits)
        if step < sampling.barred_steps and sampling.barred:
            logits = logits.index_fill(-1, torch.tensor(sampling.barred, device=logits.device), -torch.inf)
        chosen = _choose(logits, sampling, [streams[r] for r in rows] if streams else [])
        keep = []
        for place, (row, token) in enumerate(zip(rows, chosen.tolist(), strict=True)):
            out[row].append(token)
            if token in stops or (stop_strings and _hits(lm, out[row][-tail:], stop_strings)):
                reasons[row] = "stop"
            else:
                keep.append(place)
        if not keep:
            break
        if len(keep) < len(rows):
            index = torch.tensor(keep, device=lm.device)
            rows, chosen, mask = [rows[i] for i in keep], chosen[index], mask[index]
            if cache is None:
                ids = ids[index]
            else:
                cache.reorder_cache(index)
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
        ids = torch.cat([ids, chosen[:, None]], dim=1) if cache is None else ids
        new = chosen[:, None] if cache is not None else ids
    return [Decoded(tuple(t), response_text(lm, t, stops, stop_strings), r) for t, r in zip(out, reasons, strict=True)]


def response_text(lm: LanguageModel, token_ids: Sequence[int], stop_ids: set[int], stop_strings: Sequence[str] = ()) -> str:
    """The text of a response without special tokens, cut at the first stop string."""
    ids = [i for i in token_ids if i not in stop_ids]
    text = lm.tokenizer.decode(ids, skip_special_tokens=True)
    cuts = [at for s in stop_strings if (at := text.find(s)) >= 0]
    return text[: min(cuts)] if cuts else text


def _hits(lm: LanguageModel, ids: list[int], stop_strings: Sequence[str]) -> bool:
    text = lm.tokenizer.decode(ids, skip_special_tokens=True)
    return any(s in text for s in stop_strings)


def _stream(seed: int, key: str) -> torch.Generator:
    number = int.from_bytes(hashlib.sha256(f"{seed}\0{key}".encode()).digest()[:7], "big")
    return torch.Generator().manual_seed(number)


def _choose(logits: Tensor, sampling: Sampling, streams: list[torch.Generator]) -> Tensor:
    """The next token of each row (B,). Sampling inverts the cumulative distribution at one uniform number a row."""
    if sampling.temperature == 0:
        return logits.argmax(-1)
    p, order = torch.sort((logits.double() / sampling.temperature).softmax(-1), dim=-1, descending=True, stable=True)
    cumulative = p.cumsum(-1)
    if sampling.top_p < 1:
        p = p.masked_fill(cumulative - p >= sampling.top_p, 0.0)  # the first token always stays
        cumulative = p.cumsum(-1)
    u = torch.stack([torch.rand((), generator=g, dtype=torch.float64) for g in streams]).to(logits.device)
    place = torch.searchsorted(cumulative, (u * cumulative[:, -1])[:, None], right=True).clamp(max=p.shape[-1] - 1)
    return order.gather(-1, place)[:, 0]
