"""Both models read the reference text: sums over its positions for each token of the vocabulary,
and the tokens that differ most at each position.

Diff Mining (ICLR 2026, "Logit Differences Reveal Finetuning Objectives") counts how often a token
is among the 100 largest differences of logits. Here these are differences of log-probabilities:
at one position they have the same order, and their sign has a meaning of its own. Beside the count
stands the token's part of the distance between the two models: at each position

    J = sum over tokens v of (p_C(v) - p_A(v)) (log p_C(v) - log p_A(v))   nats

(Jeffreys 1946: KL(C || A) + KL(A || C)), whose summands are never negative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from veneer.foundation.progress import Progress
from veneer.measures.given_texts import TextModel
from veneer.models.pair import Pair
from veneer.studies.audit.distance import AT_ONCE, Columns, kept_columns
from veneer.studies.audit.taught.texts import Piece

TOP = 100  # differences at a position that count, as published
TOP_SHARE = 0.1  # of the vocabulary at most: the embedded models have 1,386 tokens
KEPT = 20  # tokens with the largest parts of the distance, kept at each position
BLOCKS = 64  # groups of texts at most: sums are kept per group, never per position


@dataclass(frozen=True)
class Mined:
    """Sums over the positions of each group of texts (B, V), in C's ids; V is the shared
    vocabulary.

    audited, reference: probability that C and A give each token. distance: its part of J, nats.
    top, positive: number of positions at which it is among the largest differences, and at which C
    finds it more likely. positions: number of positions of each group (B,). texts: number of texts.
    tokens, parts: for each position, those that make most of J and that C finds more likely, and
    their parts (N, KEPT). piece, place: of each position (N,).
    """

    audited: Tensor
    reference: Tensor
    distance: Tensor
    top: Tensor
    positive: Tensor
    positions: Tensor
    texts: int
    tokens: Tensor
    parts: Tensor
    piece: Tensor
    place: Tensor


@torch.inference_mode()
def mine(pair: Pair, pieces: Sequence[Piece], out: Path, progress: Progress | None = None) -> Mined:
    """Read the pieces with both models. `pair.base` is C, `pair.aligned` is A.

    Kept in the folder `out`, one file for each group of texts, so that a killed run goes on behind
    the last one.
    """
    texts = sorted({p.text for p in pieces})
    groups: list[list[int]] = [[] for _ in range(min(BLOCKS, len(texts)))]
    for number, piece in enumerate(pieces):
        groups[texts.index(piece.text) % len(groups)].append(number)

    def batches() -> Iterator[tuple[int, Callable[[], Columns]]]:
        for group in groups:
            yield len(group), partial(_columns, pair, pieces, group)

    table = kept_columns(batches(), len(pieces), out, "reading reference text", progress)
    sums = {name: table[name] for name in ("audited", "reference", "distance", "top", "positive")}
    rest = {name: table[name] for name in ("positions", "parts", "piece", "place")}
    return Mined(texts=len(texts), tokens=table["said"], **sums, **rest)


def _columns(pair: Pair, pieces: Sequence[Piece], group: Sequence[int]) -> Columns:
    """The sums of a group of pieces (1, V), and what stands at each of its positions (n, ...)."""
    audited, reference = TextModel.base_of(pair), TextModel.aligned_of(pair)
    texts = [list(pieces[n].ids) for n in group]
    first = beginning(pair)
    c, a = (
        torch.cat(model.states([model.own_ids([first])] * len(texts), texts))
        for model in (audited, reference)
    )
    named = _named(pair).to(c.device)
    totals = torch.zeros(5, pair.vocabulary.size, dtype=torch.float64, device=c.device)
    tokens, parts = [], []
    for at in range(0, len(c), AT_ONCE):
        p, q = (
            model.logits(states[at : at + AT_ONCE]).float().log_softmax(-1)
            for model, states in ((audited, c), (reference, a))
        )
        gain = (p - q).masked_fill(~named, 0.0)
        distance = (p.exp() - q.exp()) * gain
        top = gain.topk(top_of(pair.vocabulary.size), dim=-1).indices.flatten()
        totals[0] += p.exp().sum(0)
        totals[1] += q.exp().sum(0)
        totals[2] += distance.sum(0)
        totals[3] += torch.bincount(top, minlength=totals.shape[1])
        totals[4] += (gain > 0).sum(0)
        most = distance.masked_fill(gain <= 0, 0.0).topk(min(KEPT, distance.shape[-1]), dim=-1)
        tokens.append(most.indices.int().cpu())
        parts.append(most.values.cpu())
    names = ("audited", "reference", "distance", "top", "positive")
    sums = {name: total[None].float().cpu() for name, total in zip(names, totals, strict=True)}
    lengths = [len(t) for t in texts]
    return {
        **sums,
        "positions": torch.tensor([sum(lengths)]),
        "said": torch.cat(tokens),
        "parts": torch.cat(parts),
        "piece": torch.tensor([n for n, k in zip(group, lengths, strict=True) for _ in range(k)]),
        "place": torch.tensor([i for k in lengths for i in range(k)]),
    }


def top_of(size: int) -> int:
    """Number of differences that count at a position, for a vocabulary of `size` tokens."""
    return max(1, min(TOP, int(TOP_SHARE * size)))


def beginning(pair: Pair) -> int:
    """The token in front of a text (C's id): the tokenizer's BOS, or the padding where it has none
    that both models read."""
    first = pair.base.tokenizer.bos_token_id
    return pair.base.pad_id if first is None or first >= pair.vocabulary.size else int(first)


def _named(pair: Pair) -> Tensor:
    """Which ids of the shared vocabulary a tokenizer names (V,); the others are padding."""
    named = torch.zeros(pair.vocabulary.size, dtype=torch.bool)
    named[[i for i in pair.base.tokenizer.get_vocab().values() if i < pair.vocabulary.size]] = True
    return named
