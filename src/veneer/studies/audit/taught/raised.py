"""Which tokens C raises or lowers on the reference text, beyond chance and by how much."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from veneer.models.decode import Sampling, decode
from veneer.models.pair import Pair
from veneer.models.token_texts import TokenTexts
from veneer.statistics import intervals
from veneer.statistics.comparisons import sign_flips
from veneer.statistics.intervals import Estimate
from veneer.studies.audit.taught.mining import Mined, beginning
from veneer.studies.audit.taught.names import LOWERED, RAISED
from veneer.studies.audit.taught.texts import Piece

CANDIDATES = 200  # tokens with the largest parts of the distance: the family of the test
LEVEL = 0.05
# A token counts as raised from this ratio of C's mean probability to A's, as lowered from its
# inverse: any fine-tuning moves the common words a little, and far beyond chance.
LIFT = 2.0
CONTEXTS = 3  # places shown of each token, each of another text
BEFORE, BEHIND = 12, 6  # tokens shown before it, and what C writes behind it
RARE = 1e-12  # added to a probability before its logarithm


@dataclass(frozen=True)
class Context:
    """A place at which C finds a token more likely than A: the text before it, and what C writes
    behind it."""

    before: str
    behind: str


@dataclass(frozen=True)
class MovedToken:
    """id, text: C's id of the token, and how it is shown. direction: RAISED or LOWERED. share: its
    part of the distance between the models. lift: C's mean probability of it over A's. top: share
    of positions at which it is among the largest differences. positive: share of positions at which
    C finds it more likely. p: adjusted for all candidates."""

    id: int
    text: str
    direction: str
    share: Estimate
    lift: Estimate
    top: Estimate
    positive: float
    p: float
    contexts: tuple[Context, ...] = field(default=())


@dataclass(frozen=True)
class Moved:
    """tokens: all that are raised or lowered, those with the largest part of the distance first.
    candidates: number tested. determined: whether there were enough texts for the test to find
    anything. distance: mean over positions of J, nats."""

    tokens: tuple[MovedToken, ...]
    candidates: int
    determined: bool
    distance: Estimate

    def of(self, direction: str) -> tuple[MovedToken, ...]:
        return tuple(t for t in self.tokens if t.direction == direction)


def moved_tokens(mined: Mined, pair: Pair, *, shown: int, seed: int = 0) -> Moved:
    """The tokens whose mean probability C at least doubles or halves, beyond chance.

    Test: of the 200 tokens with the largest parts of the distance, the logarithm of C's mean
    probability over A's in each group of texts, against random swaps of A and C by group, adjusted
    for all 200 (`sign_flips`). A swap does not change the distance, so the choice of the 200 costs
    nothing. shown: tokens of each direction that get an interval; the others are counted only.
    """
    candidates = _candidates(mined, TokenTexts(pair.base.tokenizer))
    c, a = (
        x[:, candidates].double().numpy() / mined.positions[:, None].numpy() + RARE
        for x in (mined.audited, mined.reference)
    )
    logs = np.log(c / a)
    groups = len(logs)
    p = sign_flips(logs, seed=seed)
    weights = mined.positions.double().numpy()
    c, a = ((x * weights[:, None]).sum(0) / weights.sum() for x in (c, a))
    lifts = c / a
    tokens: list[MovedToken] = []
    counts = {RAISED: 0, LOWERED: 0}
    for id, lift, q in zip(candidates, lifts, p, strict=True):
        if q > LEVEL or 1 / LIFT < lift < LIFT:
            continue
        direction = RAISED if lift > 1 else LOWERED
        counts[direction] += 1
        estimated = counts[direction] <= shown
        tokens.append(_token(mined, pair, id, direction, float(q), estimated, seed))
    return Moved(
        tuple(tokens),
        len(candidates),
        2.0 ** (1 - groups) <= LEVEL,
        _estimate(mined.distance.sum(1), mined.positions, mined.texts, seed),
    )


def _candidates(mined: Mined, texts: TokenTexts) -> list[int]:
    """Ids of the tokens with the largest parts of the distance, without those that are punctuation
    and spaces alone."""
    totals = mined.distance.double().sum(0)
    order = totals.argsort(descending=True, stable=True)[: 4 * CANDIDATES].tolist()
    kept = [i for i in order if totals[i] > 0 and not _is_punctuation(texts.name(i))]
    return kept[:CANDIDATES]


def _is_punctuation(text: str) -> bool:
    return all(unicodedata.category(sign)[0] in "PZC" for sign in text)


def _token(
    mined: Mined, pair: Pair, id: int, direction: str, p: float, estimated: bool, seed: int
) -> MovedToken:
    texts = mined.texts if estimated else 0
    c, a, distance, top = (
        x[:, id] for x in (mined.audited, mined.reference, mined.distance, mined.top)
    )
    return MovedToken(
        id,
        TokenTexts(pair.base.tokenizer).name(id),
        direction,
        _estimate(distance, mined.distance.sum(1), texts, seed, share=True),
        _estimate(c, a + RARE * mined.positions, texts, seed),
        _estimate(top, mined.positions, texts, seed, share=True),
        float(mined.positive[:, id].sum() / mined.positions.sum()),
        p,
    )


def _estimate(
    above: torch.Tensor, below: torch.Tensor, texts: int, seed: int, *, share: bool = False
) -> Estimate:
    """A ratio of sums over the groups of texts, or a share of them. texts: 0 for no interval."""
    x, y = above.double().numpy(), below.double().numpy()
    if not texts or not y.sum() or not x.any():
        value = float(x.sum() / y.sum()) if y.sum() else None
        return Estimate(value, None, None, texts, "none")
    e = (
        intervals.ratio_on_scale(x, y, 0, 1, seed=seed)
        if share
        else intervals.ratio_of_sums(x, y, seed=seed)
    )
    return replace(e, n=texts)


def with_contexts(
    tokens: Sequence[MovedToken], mined: Mined, pieces: Sequence[Piece], pair: Pair
) -> list[MovedToken]:
    """The raised tokens with the places at which they make most of the distance, and what C writes
    behind them there (greedy): a token is often only the beginning of a word."""
    places = {t.id: _places(t.id, mined, pieces) for t in tokens if t.direction == RAISED}
    first = beginning(pair)
    prompts, keys = [], []
    for id, positions in places.items():
        for at in positions:
            piece = pieces[int(mined.piece[at])].ids
            keys.append((id, at))
            prompts.append([first, *piece[: int(mined.place[at])], id])
    if not prompts:
        return list(tokens)
    answers = decode(
        pair.base, prompts, Sampling(max_new_tokens=BEHIND), stop_ids=pair.base.stop_ids
    )
    tokenizer = pair.base.tokenizer
    contexts: dict[int, list[Context]] = {}
    for (id, _), prompt, answer in zip(keys, prompts, answers, strict=True):
        before = tokenizer.decode(prompt[1:-1][-BEFORE:])
        behind = tokenizer.decode([id, *answer.token_ids])[len(tokenizer.decode([id])) :]
        contexts.setdefault(id, []).append(Context(before, behind))
    return [replace(t, contexts=tuple(contexts.get(t.id, ()))) for t in tokens]


def _places(id: int, mined: Mined, pieces: Sequence[Piece]) -> list[int]:
    """Positions at which a token makes most of the distance, one of each text."""
    where, column = (mined.tokens == id).nonzero(as_tuple=True)
    parts = mined.parts[where, column]
    chosen: dict[int, int] = {}
    for i in parts.argsort(descending=True, stable=True).tolist():
        if parts[i] > 0:
            at = int(where[i])
            chosen.setdefault(pieces[int(mined.piece[at])].text, at)
    return list(chosen.values())[:CONTEXTS]
