"""Log-likelihoods of given continuations, exact.

Each context is read once for all continuations of its prompt; these are read in order of their
length, so that short ones carry no padding; equal pairs are computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from veneer.capture.teacher_forcing import response_hidden
from veneer.foundation.errors import InputError, SettingError
from veneer.foundation.memory import halving
from veneer.models.cache import copied
from veneer.models.formats import TextFormat
from veneer.models.language_model import LanguageModel
from veneer.models.prefix import can_share, start
from veneer.models.sampling import largest
from veneer.prompts.prompt import Prompt
from veneer.systems.system import System

Ids = Sequence[int]
Pair = tuple[Ids, Ids]  # context, continuation
NO_MEMORY = "memory ran out for a single continuation; use a smaller model or more memory"
SPAN = 4  # batches of continuations whose contexts are held together
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
    """The likelihood of each (context ids, continuation ids), in the order given. batch_size:
    continuations read together. done: called after each group of batches with the numbers of its
    pairs and their likelihoods."""
    if batch_size < 1:
        raise SettingError("batch_size", f"is {batch_size}; expected 1 or more")
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
    places: dict[Pair, list[int]] = {}  # of tuples, which have a hash
    for i, (context, following) in enumerate(pairs):
        places.setdefault((tuple(context), tuple(following)), []).append(i)
    out: list[Likelihood] = [Likelihood(0.0, True, 0)] * len(pairs)
    for group in _groups(list(places), batch_size):
        halves = halving(lambda few: _score(system, few, batch_size), group, message=NO_MEMORY)
        scores = [likelihood for few in halves for likelihood in few]
        numbers = []
        for pair, likelihood in zip(group, scores, strict=True):
            numbers += places[pair]
            for i in places[pair]:
                out[i] = likelihood
        if done:
            done(numbers, [out[i] for i in numbers])
    return out


def _groups(pairs: Sequence[Pair], size: int) -> Iterator[list[Pair]]:
    """The pairs of up to `size` contexts at a time, and no more than `SPAN` batches of
    continuations; contexts of like length together."""
    group: list[Pair] = []
    contexts = 0
    for pair in sorted(pairs, key=lambda p: (len(p[0]), p[0], len(p[1]), p[1])):
        new = not group or pair[0] != group[-1][0]
        if group and (len(group) == SPAN * size or (new and contexts == size)):
            yield group
            group, contexts, new = [], 0, True
        group.append(pair)
        contexts += new
    if group:
        yield group


@torch.inference_mode()
def _score(system: System, pairs: Sequence[Pair], size: int) -> list[Likelihood]:
    lm, head = system.lm, system.head or system.lm.head
    hidden = _hidden(lm, pairs, size)
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


def _hidden(lm: LanguageModel, pairs: Sequence[Pair], size: int) -> list[Tensor]:
    """The states (n_i, d) from which each continuation's tokens are predicted."""
    contexts: dict[tuple[int, ...], int] = {}
    owner = [contexts.setdefault(tuple(context), len(contexts)) for context, _ in pairs]
    longest = max(len(c) + len(f) for c, f in pairs)
    before = [list(c[:-1]) for c in contexts]
    if len(contexts) == len(pairs) or not all(before) or not can_share(lm, longest):
        return response_hidden(lm, [c for c, _ in pairs], [f for _, f in pairs])
    begun = start(lm, before, side="left")
    lm.hidden(begun.ids, begun.mask, begun.cache)
    rows = [[c[-1], *f[:-1]] for c, f in pairs]
    out: list[Tensor] = [torch.empty(0)] * len(pairs)
    order = sorted(range(len(pairs)), key=lambda i: (len(rows[i]), i))
    for at in range(0, len(order), size):
        batch = order[at : at + size]
        last = at + size >= len(order)
        cache = begun.cache if last else copied(begun.cache)
        states = _behind(lm, [rows[i] for i in batch], [owner[i] for i in batch], begun.mask, cache)
        for place, i in enumerate(batch):
            out[i] = states[place, : len(rows[i])].clone()
    return out


def _behind(
    lm: LanguageModel, rows: Sequence[Ids], owner: Sequence[int], read: Tensor, cache: Any
) -> Tensor:
    """The states (B, T, d) of rows of tokens, each behind one of the contexts that a cache holds.
    owner: the number of its context. read (C, S): the contexts' mask. The cache is changed."""
    index = torch.tensor(owner, device=lm.device)
    # each context's keys and values once for each of its continuations
    cache.reorder_cache(index)
    width = max(map(len, rows))
    ids = torch.tensor([[*r, *[lm.pad_id] * (width - len(r))] for r in rows], device=lm.device)
    own = torch.tensor([[1] * len(r) + [0] * (width - len(r)) for r in rows], device=lm.device)
    return lm.hidden(ids, torch.cat([read[index], own], dim=1), cache)
