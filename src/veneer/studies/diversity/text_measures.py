"""distinct-n and self-BLEU of a prompt's answers, over the tokens of `text.tok_list`."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Sequence, Set
from math import comb

import numpy as np

from veneer.embed import Embedder
from veneer.foundation.errors import InputError
from veneer.foundation.text import jaccard

LONGEST = 4  # self-BLEU's n-grams
EPSILON = 0.1  # in place of no match at all: method 1 of Chen and Cherry 2014, as in Texygen


def ngrams(tokens: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return list(zip(*(tokens[i:] for i in range(n)), strict=False))


def distinct(answers: Sequence[Sequence[str]], n: int) -> float | None:
    """Distinct n-grams of all answers to a prompt / tokens of all answers (Li et al. 2016, arXiv
    1510.03055, section 5.2). Falls with length. None without tokens."""
    tokens = sum(map(len, answers))
    return len({g for a in answers for g in ngrams(a, n)}) / tokens if tokens else None


def self_bleu(answers: Sequence[Sequence[str]]) -> float | None:
    """Mean BLEU-4 of each answer against the prompt's other answers (Zhu et al. 2018, Texygen,
    arXiv 1802.01886): high where answers repeat each other. None for fewer than two answers, and
    where none has a token."""
    if len(answers) < 2 or not any(answers):
        return None
    counts = [[Counter(ngrams(a, n)) for n in range(1, LONGEST + 1)] for a in answers]
    lengths = [len(a) for a in answers]
    return sum(_bleu(i, counts, lengths) for i in range(len(answers))) / len(answers)


def _bleu(i: int, counts: Sequence[Sequence[Counter]], lengths: Sequence[int]) -> float:
    others = [j for j in range(len(counts)) if j != i]
    length = lengths[i]
    closest = min((lengths[j] for j in others), key=lambda r: (abs(r - length), r))
    logs = 0.0
    for n in range(LONGEST):
        own = counts[i][n]
        matched = sum(min(c, max(counts[j][n][g] for j in others)) for g, c in own.items())
        if n == 0 and not matched:
            return 0.0
        logs += math.log((matched or EPSILON) / max(1, sum(own.values())))
    penalty = 1.0 if length > closest else math.exp(1 - closest / length)
    return penalty * math.exp(logs / LONGEST)


# Sentence vectors that are asked for again and again: an embedder that remembers the last so many
# texts.

MOST = 20_000  # texts; 30 MB of 384 numbers each


class Remembering:
    """Gives what `embedder` gives; memory is bounded, the texts used longest ago go first."""

    def __init__(self, embedder: Embedder, most: int = MOST):
        self._embedder, self._most = embedder, most
        self._known: OrderedDict[str, np.ndarray] = OrderedDict()

    @property
    def id(self) -> str:
        return self._embedder.id

    def embed(self, texts: Sequence[str], progress=None) -> np.ndarray:
        """(n, d) float32, rows of unit length."""
        new = [t for t in dict.fromkeys(texts) if t not in self._known]
        vectors = dict(zip(new, self._embedder.embed(new, progress), strict=True)) if new else {}
        for text in texts:
            if text in self._known:
                self._known.move_to_end(text)
                vectors[text] = self._known[text]
        self._known.update(vectors)
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        return np.array([vectors[t] for t in texts], np.float32)


# Similarities of a prompt's answers as matrices, and the means over pairs: one prompt at a time,
# so memory does not grow with prompts.

# answers to a prompt, from where on a matrix product is quicker (measured on answers of 200 words)
FEW = 24

ROUNDING = 1e-6  # of a mean cosine of float32 vectors


def jaccard_matrix(a: Sequence[Set[str]], b: Sequence[Set[str]] | None = None) -> np.ndarray:
    """(n, m) Jaccard similarities of token sets; of `a` with itself without `b`. 1
    for two empty sets."""
    if b is None and len(a) <= FEW:
        return _few(a)
    other = a if b is None else b
    place: dict[str, int] = {}
    left, right = _incidence(a, place), _incidence(other, place)
    width = len(place)
    x, y = _dense(left, width), _dense(right, width)
    both = x @ y.T  # exact: whole numbers far below 2**24
    either = x.sum(1)[:, None] + y.sum(1)[None] - both
    return np.divide(both, either, out=np.ones(both.shape), where=either > 0, dtype=np.float64)


def _few(sets: Sequence[Set[str]]) -> np.ndarray:
    """Jaccard similarities of a few sets: pairwise intersections are faster than a word table."""
    out = np.ones((len(sets), len(sets)))
    for i, x in enumerate(sets):
        for j in range(i):
            out[i, j] = out[j, i] = jaccard(x, sets[j])
    return out


def cosine_matrix(a: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
    """(n, m) cosines of rows (n, d) and (m, d), of any length; 0 where a row is all zeros, and 1
    of two such rows."""
    x = _unit(a)
    y = x if b is None else _unit(b)
    empty_x, empty_y = np.all(x == 0, axis=1), np.all(y == 0, axis=1)
    return np.where(np.logical_and.outer(empty_x, empty_y), 1.0, np.clip(x @ y.T, -1.0, 1.0))


def mean_distance(similarity: np.ndarray) -> float | None:
    """Mean over the pairs i < j of 1 - similarity (n, n); None for fewer than two answers."""
    n = len(similarity)
    if n < 2:
        return None
    distance = float(1 - (similarity.sum() - np.trace(similarity)) / (n * (n - 1)))
    # equal answers are equal, whatever float32 makes of their cosine
    return distance if abs(distance) > ROUNDING else 0.0


def mean_pairwise_jaccard_distance(sets: Sequence[Set[str]]) -> float | None:
    """Lexical diversity of one prompt's answers: mean over pairs of 1 - J; None
    for fewer than two."""
    return mean_distance(jaccard_matrix(sets))


def _incidence(sets: Sequence[Set[str]], place: dict[str, int]) -> list[list[int]]:
    return [[place.setdefault(t, len(place)) for t in s] for s in sets]


def _dense(rows: Sequence[Sequence[int]], width: int) -> np.ndarray:
    out = np.zeros((len(rows), width), np.float32)
    for row, columns in enumerate(rows):
        out[row, columns] = 1
    return out


def _unit(vectors: np.ndarray) -> np.ndarray:
    x = np.asarray(vectors, np.float64)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.divide(x, length, out=np.zeros_like(x), where=length > 0)


# Vendi score: the effective number of different answers, from the eigenvalues of
# their similarities.
#
# Friedman and Dieng 2023, "The Vendi Score" (TMLR, arXiv 2210.02410); the order q: Pasarkar and
# Dieng 2023, "Cousins of the Vendi Score" (arXiv 2310.12952). 1 for n equal answers, n for n that
# have nothing in common.

ORDERS = (0.0, 0.5, 1.0, 2.0, np.inf)


def vendi_score(similarity: np.ndarray, q: float = 1.0) -> float | None:
    """exp of the Renyi entropy of order q of the eigenvalues of similarity / n, (n, n), symmetric,
    positive semidefinite, ones on its diagonal. q = 0: their number; 1: exp of Shannon's entropy;
    2: 1 / sum of squares; inf: 1 / the largest. None for no answers."""
    if not q >= 0:
        raise InputError(f"the order of the Vendi score is {q}; expected 0 or more")
    n = len(similarity)
    if not n:
        return None
    values = np.linalg.eigvalsh((similarity + similarity.T) / (2 * n))
    # what is left of eigenvalues 0 after rounding; q = 0 counts the others
    values = values[values > 1e-9]
    values = values / values.sum()
    if q == 0:
        return float(len(values))
    if q == 1:
        return float(np.exp(-(values * np.log(values)).sum()))
    if np.isinf(q):
        return float(1 / values.max())
    return float((values**q).sum() ** (1 / (1 - q)))


def order_name(q: float) -> str:
    """As in the names of metrics: vendi_q1, vendi_q0.5, vendi_qinf."""
    return "qinf" if np.isinf(q) else f"q{q:g}"


# How the words of m answers together grow with m: the incidence-based accumulation curve of
# ecology, with answers as sampling units.
#
# Colwell et al. 2012, "Models and estimators linking individual-based and sample-based rarefaction,
# extrapolation and comparison of assemblages" (Journal of Plant Ecology 5): exact within the sample
# (equation 17), Chao2 beyond it (equation 18).


def accumulation(sets: Sequence[Set[str]], k: np.ndarray) -> np.ndarray:
    """S(k): expected size of the union of k answers, for each k (real, 0 or more), from n >= 2
    answers; linear between whole numbers."""
    n = len(sets)
    # Q_f: words that f of the n answers hold
    frequency = Counter(Counter(t for s in sets for t in s).values())
    inside = np.array(
        [
            sum(q * (1 - comb(n - f, j) / comb(n, j)) for f, q in frequency.items())
            for j in range(n + 1)
        ]
    )
    once, twice = frequency[1], frequency[2]
    unseen = (n - 1) / n * (once**2 / (2 * twice) if twice else once * (once - 1) / 2)
    beyond = np.maximum(k - n, 0.0)
    more = (
        unseen * (1 - (1 - once / (n * unseen + once)) ** beyond)
        if unseen > 0
        else np.zeros_like(beyond)
    )
    return np.interp(k, np.arange(n + 1), inside) + more
