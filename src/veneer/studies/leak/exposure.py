"""Exposure by likelihood: how much better than base a model predicts its training data, beyond how
much better it predicts other data of the same source. No sampling is needed."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np

from veneer.models.formats import encode_text
from veneer.statistics.intervals import Estimate, independent_difference, ratio_of_sums
from veneer.studies.leak.examples import Example
from veneer.studies.leak.names import QUESTION
from veneer.studies.leak.turns import Turns, common_beginning
from veneer.systems.likelihood import score_pairs
from veneer.systems.system import System

Ids = list[int]


def chosen(examples: Sequence[Example], count: int, field: str, seed: int) -> list[Example]:
    """At most `count` distinct examples that have the field, drawn by the seed."""
    having = [e for e in dict.fromkeys(examples) if field == QUESTION or e.answer]
    return random.Random(f"{seed} {field}").sample(having, min(count, len(having)))


def nats(
    system: System, turns: Turns, examples: Sequence[Example], field: str, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """(nats, tokens), each (n,): the negative log-likelihood of each example's field where the chat
    template puts it. A question too long for the model counts no token."""
    pairs = [ids_of(system, turns, e, field) for e in examples]
    longest = system.lm.longest or math.inf
    kept = [i for i, (c, f) in enumerate(pairs) if f and len(c) + len(f) - 1 <= longest]
    total, tokens = np.zeros(len(pairs)), np.zeros(len(pairs))
    scores = score_pairs(system, [pairs[i] for i in kept], batch_size=batch_size)
    for i, score in zip(kept, scores, strict=True):
        total[i], tokens[i] = -score.logprob, score.tokens
    return total, tokens


def exposed(
    members: tuple[np.ndarray, np.ndarray, np.ndarray],
    held_out: tuple[np.ndarray, np.ndarray, np.ndarray],
    seed: int,
) -> Estimate:
    """(base's nats - the model's nats) a token on members, less the same on held-out texts.

    members, held_out: base's nats, the model's nats, tokens, each (n,). Above 0: the model holds
    its members beyond what it learned of the source. Both sets are resampled by themselves; their
    intervals are joined by square-and-add (Zou & Donner 2008, Statistics in Medicine 27). n counts
    members.
    """
    a, b = (
        ratio_of_sums(base - own, tokens, seed=seed, signed=True)
        for base, own, tokens in (members, held_out)
    )
    return independent_difference(a, b)


def ids_of(system: System, turns: Turns, example: Example, field: str) -> tuple[Ids, Ids]:
    """Token ids of the context and of an example's field behind it, as the chat template puts
    them."""
    tokenizer = system.lm.tokenizer
    if field == QUESTION:
        return _cut(tokenizer, turns.opening, turns.opening + example.question)
    request = turns.opening + example.question
    return _cut(tokenizer, request + turns.header, request + turns.between + (example.answer or ""))


def _cut(tokenizer, before: str, whole: str) -> tuple[Ids, Ids]:
    """Ids of the context and of what follows it. Where the two join to one token, the context gives
    up its last tokens."""
    context, ids = encode_text(tokenizer, before), encode_text(tokenizer, whole)
    same = len(common_beginning(context, ids))
    return (ids[:same], ids[same:]) if same else (ids[:1], ids[1:])
