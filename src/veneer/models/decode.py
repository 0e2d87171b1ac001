"""Batched decoding: greedy or sampled, finished rows leave the batch, and a caller may watch the
logits.

Three doors to one loop:

- `decode(lm, prompts, sampling, stop_ids=...)`: one model, one Sampling for all, whole answers;
- `decode_with(stepper, sampling, stop_ids=...)`: the same for any stepper (models/stepper.py: one
  model, or a large one shifted by a small one; `System.stepper` and `ShiftedSystem.stepper` make
  them from prompts);
- `decode_steps(stepper, rows, stop_ids=...)`: a generator, one list of `Token` a step, each row
  with a Sampling, stop strings and key of its own, log-probabilities where requested; rows can be
  given up on the way. models/stream.py turns its tokens into text.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from veneer.foundation.errors import VeneerError
from veneer.models.head import Head
from veneer.models.language_model import LanguageModel
from veneer.models.sampling import NO_TOKEN, Answer, Sampling, choose
from veneer.models.stepper import ModelStepper, Stepper
from veneer.models.thoughts import Thoughts, cut
from veneer.reasoning import ResponseParts

__all__ = [
    "Decoded",
    "Row",
    "Sampling",
    "Token",
    "decode",
    "decode_steps",
    "decode_with",
    "response_parts",
    "response_text",
]


@dataclass(frozen=True, slots=True)
class Decoded:
    """token_ids: the response with its end token, if any. finish_reason: "stop" or "length". text:
    the answer, without special tokens, cut at a stop string. reasoning: what a thinking model wrote
    before it (models/thoughts.py), None where it wrote none."""

    token_ids: tuple[int, ...]
    text: str
    finish_reason: str
    reasoning: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """How one row of a batch is answered. key: seeds its sampling together with `sampling.seed`.
    begun: the last tokens of its prompt that belong to the answer already; `max_new_tokens` counts
    the tokens behind them, bars and penalties count them too. raw: a thought is a part
    of the text like any other, so that stop strings end it."""

    sampling: Sampling
    key: str = ""
    stop_strings: tuple[str, ...] = ()
    begun: tuple[int, ...] = ()
    raw: bool = False


FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Token:
    """One token of one row's answer.

    logprob: natural log of its probability under the system's own distribution, before temperature,
    penalties and bars; None where it was not requested. top: (id, logprob) of the most likely
    tokens, downwards. finish_reason: "stop" (an end token or a stop string) or "length" with the
    row's last token, otherwise None. FAILED (id `NO_TOKEN`): no token could be chosen.
    """

    row: int
    id: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()
    finish_reason: str | None = None


# (row numbers, hidden (B, d), logits (B, V)) of one step
Watcher = Callable[[Sequence[int], Tensor, Tensor], None]
Restrict = Callable[[Tensor], Tensor]  # logits (B, V) -> logits (B, V')


def decode(
    lm: LanguageModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    *,
    stop_ids: Sequence[int],
    stop_strings: Sequence[str] = (),
    keys: Sequence[str] | None = None,
    head: Head | None = None,
    forced: Sequence[Sequence[int]] | None = None,
    shift: Restrict | None = None,
    watch: Watcher | None = None,
) -> list[Decoded]:
    """Decode one batch with one model.

    prompts: token ids per row. keys: a name per row that seeds its sampling (prompt and sample id).
    forced: token ids with which each row's answer begins; they are part of the answer. head:
    another head over the same backbone (a veneer's). shift: maps logits (B, V) to the logits (B,
    V') that are decoded (a restriction to a shared vocabulary); ids are then the result's. watch:
    called each step before a token is chosen. Raises VeneerError where logits are not finite.
    """
    begun = forced or [()] * len(prompts)
    with torch.inference_mode():
        before = [[*p, *b] for p, b in zip(prompts, begun, strict=True)]
        stepper = ModelStepper(lm, before, head)
    return decode_with(
        stepper,
        sampling,
        stop_ids=stop_ids,
        stop_strings=stop_strings,
        keys=keys,
        begun=begun,
        shift=shift,
        watch=watch,
    )


def decode_with(
    stepper: Stepper,
    sampling: Sampling,
    *,
    stop_ids: Sequence[int],
    stop_strings: Sequence[str] = (),
    keys: Sequence[str] | None = None,
    begun: Sequence[Sequence[int]] | None = None,
    shift: Restrict | None = None,
    watch: Watcher | None = None,
) -> list[Decoded]:
    """Decode the batch of a stepper that has just been made; words as of `decode`.

    begun: the last tokens of each of its prompts, if any, that belong to the answer.
    """
    count = len(stepper.prompts)
    rows = [
        Row(
            sampling,
            keys[r] if keys else str(r),
            tuple(stop_strings),
            tuple(begun[r]) if begun else (),
        )
        for r in range(count)
    ]
    out = [list(row.begun) for row in rows]
    reasons = ["length"] * count
    for tokens in decode_steps(stepper, rows, stop_ids=stop_ids, shift=shift, watch=watch):
        for token in tokens:
            out[token.row].append(token.id)
            reasons[token.row] = token.finish_reason or reasons[token.row]
    stops = set(stop_ids)
    parts = [
        response_parts(stepper, t, stops, stop_strings, _without(p, row.begun))
        for t, p, row in zip(out, stepper.prompts, rows, strict=True)
    ]
    return [
        Decoded(tuple(t), p.answer, r, p.reasoning)
        for t, p, r in zip(out, parts, reasons, strict=True)
    ]


@torch.inference_mode()
def decode_steps(
    stepper: Stepper,
    rows: Sequence[Row],
    *,
    stop_ids: Sequence[int],
    shift: Restrict | None = None,
    watch: Watcher | None = None,
    logprobs: int | None = None,
    given_up: Collection[int] = (),
    apart: bool = False,
) -> Iterator[list[Token]]:
    """The batch of a stepper that has just been made, step by step: the tokens of the rows that are
    still open, in row order.

    rows: one for each of the stepper's prompts. logprobs: None for none, otherwise how many of the
    most likely tokens come with each token beside its own log-probability (0: only its own).
    given_up: row numbers that the caller no longer wants; it may grow (a set) while the generator
    runs, and is looked at before each further step. apart: a row whose logits are not finite ends
    with the finish reason FAILED, and the others continue. shift, watch: as of `decode`. Raises
    VeneerError where logits are not finite, unless `apart`.
    """
    stops = frozenset(stop_ids)
    open_rows = list(range(len(rows)))
    answers = [
        Answer(row.sampling, _without(prompt, row.begun), row.key, list(row.begun))
        for row, prompt in zip(rows, stepper.prompts, strict=True)
    ]
    step = 0
    while True:
        logits = stepper.logits()
        if shift is not None:
            logits = shift(logits)
        step += 1
        if not _finite(logits):
            if not apart:
                raise VeneerError(
                    f"{stepper.name} gives logits that are not finite at response position {step}; "
                    "its weights may be damaged"
                )
            broken = ~torch.isfinite(logits).all(-1)
            logits = logits.masked_fill(broken[:, None], 0.0)
        else:
            broken = None
        if watch is not None:
            watch(open_rows, stepper.hidden, logits)
        chosen = choose(logits, [answers[r] for r in open_rows], stops)
        if broken is not None:
            chosen = chosen.masked_fill(broken, NO_TOKEN)
        ids = chosen.tolist()
        if not apart and NO_TOKEN in ids:
            raise VeneerError(
                f"the settings leave {stepper.name} no token to choose at response position "
                f"{step}: every token is barred, or penalties and biases overflow"
            )
        own, tops = _logprobs(logits, chosen.clamp(min=0), logprobs)
        tokens = []
        for place, (number, token) in enumerate(zip(open_rows, ids, strict=True)):
            if token == NO_TOKEN:
                tokens.append(Token(number, NO_TOKEN, finish_reason=FAILED))
                continue
            answers[number].tokens.append(token)
            reason = _reason(stepper, rows[number], answers[number], stops)
            tokens.append(Token(number, token, own[place], tops[place], reason))
        yield tokens
        keep = [
            p for p, t in enumerate(tokens) if t.finish_reason is None and t.row not in given_up
        ]
        if not keep:
            return
        if len(keep) < len(open_rows):
            places = torch.tensor(keep, device=chosen.device)
            open_rows, chosen = [open_rows[p] for p in keep], chosen[places]
            stepper.keep(places)
        stepper.feed(chosen)


def response_parts(
    model: LanguageModel | Stepper,
    token_ids: Sequence[int],
    stop_ids: Collection[int],
    stop_strings: Sequence[str] = (),
    prompt: Sequence[int] = (),
) -> ResponseParts:
    """Reasoning and answer of a response, without special tokens, the answer cut at its
    first stop string.

    prompt: the token ids that the model read, whose end may have opened the thought.
    """
    parts = Thoughts.of(model.tokenizer).parts([i for i in token_ids if i not in stop_ids], prompt)
    return replace(parts, answer=cut(parts.answer, stop_strings))


def response_text(
    model: LanguageModel | Stepper,
    token_ids: Sequence[int],
    stop_ids: Collection[int],
    stop_strings: Sequence[str] = (),
    prompt: Sequence[int] = (),
) -> str:
    """The answer alone; words as of `response_parts`."""
    return response_parts(model, token_ids, stop_ids, stop_strings, prompt).answer


def _finite(logits: Tensor) -> bool:
    """Check row sums first (40 times cheaper); fall back to every number where a sum overflows."""
    return bool(torch.isfinite(logits.sum(-1)).all()) or bool(torch.isfinite(logits).all())


def _reason(stepper: Stepper, row: Row, answer: Answer, stops: Collection[int]) -> str | None:
    if answer.tokens[-1] in stops:
        return "stop"
    if row.stop_strings and hits(
        stepper.tokenizer, answer.tokens, row.stop_strings, answer.prompt, raw=row.raw
    ):
        return "stop"
    new = len(answer.tokens) - len(row.begun)
    return "length" if new == row.sampling.max_new_tokens else None


def _without(prompt: Sequence[int], begun: Sequence[int]) -> Sequence[int]:
    """The prompt's own tokens."""
    return prompt[: len(prompt) - len(begun)]


def hits(
    tokenizer: Any,
    ids: Sequence[int],
    stop_strings: Sequence[str],
    prompt: Sequence[int] = (),
    *,
    raw: bool = False,
) -> bool:
    """Whether the answer has come to a stop string; one within a thought ends nothing, unless it is
    raw text that is written."""
    tail = max(len(s) for s in stop_strings) + 8  # a token may add no visible character
    text = tokenizer.decode(list(ids[-tail:]), skip_special_tokens=True)
    return any(s in text for s in stop_strings) and (
        raw or Thoughts.of(tokenizer).stopped(ids, prompt, stop_strings)
    )


Tops = list[tuple[tuple[int, float], ...]]


def _logprobs(
    logits: Tensor, chosen: Tensor, top: int | None
) -> tuple[Sequence[float | None], Tops]:
    """Log-probabilities of the chosen tokens (B,) and of the `top` most likely ones, where
    they are requested."""
    none: Tops = [()] * len(logits)
    if top is None:
        return [None] * len(logits), none
    logz = logits.double().logsumexp(-1, keepdim=True)
    own = (logits.gather(-1, chosen[:, None]) - logz)[:, 0].tolist()
    if not top:
        return own, none
    values, ids = logits.topk(min(top, logits.shape[-1]), dim=-1)
    pairs = zip(ids.tolist(), (values - logz).tolist(), strict=True)
    return own, [tuple(zip(i, p, strict=True)) for i, p in pairs]
