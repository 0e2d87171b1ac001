"""Log-likelihoods of given continuations, exact: each context is read once for all continuations of
its prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from veneer.capture.teacher_forcing import response_hidden
from veneer.foundation.errors import InputError
from veneer.foundation.memory import halving
from veneer.models.formats import TextFormat
from veneer.models.language_model import LanguageModel
from veneer.models.prefix import can_share, start
from veneer.models.sampling import largest
from veneer.prompts.prompt import Prompt
from veneer.systems.system import System

Ids = Sequence[int]
Pair = tuple[Ids, Ids]  # context, continuation
NO_MEMORY = "memory ran out for a single continuation; use a smaller model or more memory"
Done = Callable[[Sequence[int], Sequence["Likelihood"]], None]


class Likelihood(NamedTuple):
    """logprob: natural log of the continuation's probability, summed over its tokens. is_greedy:
    every token of it is the most likely one. tokens: their number."""

    logprob: float
    is_greedy: bool
    tokens: int


def loglikelihoods(
    system: System,
    prompts: Sequence[Prompt],
    continuations: Sequence[Sequence[str]],
    *,
    batch_size: int = 32,
) -> list[list[Likelihood]]:
    """Log-likelihoods of each prompt's continuations under a system, its own head (a
    veneer's) included.

    The continuation follows the prompt in the system's format, in nats over the whole
    vocabulary; tokens that a system bars while decoding are not barred here. batch_size:
    continuations read together. Raises InputError for an empty continuation or one that does not
    fit the model's context.
    """
    pairs = [
        encode_pair(system, p, c)
        for p, texts in zip(prompts, continuations, strict=True)
        for c in texts
    ]
    scores = iter(score_pairs(system, pairs, batch_size=batch_size))
    return [[next(scores) for _ in texts] for texts in continuations]


def encode_pair(system: System, prompt: Prompt, continuation: str) -> tuple[list[int], list[int]]:
    """Token ids of a prompt in the system's format and of what follows it.

    As in lm-evaluation-harness (`TemplateLM._encode_pair`): white space at the end of a text goes
    to the continuation, both are tokenised as one text, and what follows the context's own ids is
    the continuation. A chat template ends in tokens, not in text, so there the continuation is
    tokenised by itself. A context without any token is BOS, or else an end token.
    """
    tokenizer, form = system.lm.tokenizer, system.format
    system.warn_of_formats([prompt])
    if not isinstance(form, TextFormat):
        context = form.encode(tokenizer, prompt)
        return context, list(tokenizer(continuation, add_special_tokens=False)["input_ids"])
    text = form.text(prompt)
    bare = text.rstrip()
    context = form.encode_text(tokenizer, bare)
    whole = form.encode_text(tokenizer, text + continuation)
    following = whole[len(context) :]
    if not context:
        first = tokenizer.bos_token_id
        context = [first if first is not None else system.lm.pad_id]
    return context, following


def score_pairs(
    system: System, pairs: Sequence[Pair], *, batch_size: int = 32, done: Done | None = None
) -> list[Likelihood]:
    """The likelihood of each (context ids, continuation ids), in the order given. done: called
    after each batch with the numbers of its pairs and their likelihoods."""
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}; expected 1 or more")
    longest = system.longest()
    for context, following in pairs:
        if not context or not following:
            raise InputError("a continuation (or its context) has no tokens; expected text in both")
        if longest is not None and len(context) + len(following) - 1 > longest:
            raise InputError(
                f"a context of {len(context)} and a continuation of {len(following)} tokens do "
                f"not fit the model's context of {longest}; shorten the prompt (fewer examples), "
                "or use a model with a longer context"
            )
    out: list[Likelihood] = [Likelihood(0.0, True, 0)] * len(pairs)
    for batch in _batches(pairs, batch_size):
        parts = halving(
            lambda batch_pairs: _score(system, batch_pairs),
            [pairs[i] for i in batch],
            message=NO_MEMORY,
        )
        scores = [likelihood for part in parts for likelihood in part]
        for i, likelihood in zip(batch, scores, strict=True):
            out[i] = likelihood
        if done:
            done(batch, scores)
    return out


def _batches(pairs: Sequence[Pair], size: int) -> Iterator[list[int]]:
    """Numbers of pairs, those of one context together, contexts of like length together."""
    order = sorted(
        range(len(pairs)), key=lambda i: (len(pairs[i][0]), tuple(pairs[i][0]), len(pairs[i][1]), i)
    )
    for at in range(0, len(order), size):
        yield order[at : at + size]


@torch.inference_mode()
def _score(system: System, pairs: Sequence[Pair]) -> list[Likelihood]:
    lm, head = system.lm, system.head or system.lm.head
    hidden = _hidden(lm, pairs)
    states = torch.cat(hidden)  # (N, d)
    # (N,)
    wanted = torch.tensor([t for _, following in pairs for t in following], device=states.device)
    sums, greedy = [], []
    for at in range(0, len(states), head.at_once):
        logits = head.logits(states[at : at + head.at_once])  # (n, V)
        ids = wanted[at : at + head.at_once]
        sums.append(token_logprobs(logits, ids))
        greedy.append(largest(logits) == ids)
    logprobs, hits = torch.cat(sums), torch.cat(greedy)
    lengths = [len(following) for _, following in pairs]
    return [
        Likelihood(float(p.sum()), bool(g.all()), len(p))
        for p, g in zip(logprobs.split(lengths), hits.split(lengths), strict=True)
    ]


def token_logprobs(logits: Tensor, ids: Tensor) -> Tensor:
    """Natural log-probability (n,) float64 of one id (n,) under each row of logits (n, V)."""
    own = logits.gather(1, ids.to(logits.device)[:, None])[:, 0]
    return (own - logits.logsumexp(-1)).double()


def _hidden(lm: LanguageModel, pairs: Sequence[Pair]) -> list[Tensor]:
    """The states (n_i, d) from which each continuation's tokens are predicted."""
    contexts: dict[tuple[int, ...], int] = {}
    owner = [contexts.setdefault(tuple(context), len(contexts)) for context, _ in pairs]
    longest = max(len(c) + len(f) for c, f in pairs)
    before = [list(c[:-1]) for c in contexts]
    if len(contexts) == len(pairs) or not all(before) or not can_share(lm, longest):
        return response_hidden(lm, [c for c, _ in pairs], [f for _, f in pairs])
    begun = start(lm, before, side="left")
    lm.hidden(begun.ids, begun.mask, begun.cache)
    index = torch.tensor(owner, device=lm.device)
    # each context's keys and values once for each of its continuations
    begun.cache.reorder_cache(index)
    rows = [[c[-1], *f[:-1]] for c, f in pairs]
    width = max(map(len, rows))
    ids = torch.tensor([r + [lm.pad_id] * (width - len(r)) for r in rows], device=lm.device)
    own = torch.tensor([[1] * len(r) + [0] * (width - len(r)) for r in rows], device=lm.device)
    states = lm.hidden(ids, torch.cat([begun.mask[index], own], dim=1), begun.cache)  # (B, T, d)
    return [states[i, : len(r)].clone() for i, r in enumerate(rows)]
