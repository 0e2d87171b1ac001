"""How near a text comes to a data set: by embeddings, by edit distances, word for word.

Cosine of embeddings as in arXiv 2510.18554; Levenshtein similarity 1 - L(a, b) / max(|a|, |b|) and
Indel similarity 1 - I(a, b) / (|a| + |b|), in characters.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Protocol

import numpy as np

from veneer.embed import Embedder
from veneer.foundation.errors import MissingExtra
from veneer.foundation.progress import Progress
from veneer.studies.leak.names import INDEL, LEVENSHTEIN, VERBATIM

EXACT = 20_000_000  # pairs of texts whose edit distances are all computed
CANDIDATES = 50  # beyond it: nearest by cosine, and as many by shared words
BLOCK = 512  # texts compared with all members at once


@dataclass(frozen=True)
class Nearest:
    """scores: (n,) similarity 0 to 1 of each text to its nearest member; members: (n,) that
    member's number, -1 for a text without words. exact: all members were compared."""

    scores: np.ndarray
    members: np.ndarray
    exact: bool = True


class Matcher(Protocol):
    """Finds the nearest member of a fixed list. id: the judge of its rows."""

    @property
    def id(self) -> str: ...

    def nearest(self, texts: Sequence[str], progress: Progress | None = None) -> Nearest: ...


class CosineMatcher:
    """Nearest member by the cosine of embeddings, all members compared."""

    def __init__(self, members: Sequence[str], embedder: Embedder):
        self.id = embedder.id
        self.embedder = embedder
        self.vectors = embedder.embed(members)  # (m, d), rows of unit length

    def nearest(self, texts: Sequence[str], progress: Progress | None = None) -> Nearest:
        order, scores = self.ranked(texts, 1, progress)
        members = np.array([o[0] if t.strip() else -1 for o, t in zip(order, texts, strict=True)])
        best = np.where(members >= 0, scores[:, 0], 0.0)
        return Nearest(best, members.astype(int))

    def ranked(
        self, texts: Sequence[str], count: int, progress: Progress | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Numbers (n, count) of the nearest members, nearest first, and their cosines."""
        vectors = self.embedder.embed(texts, progress)
        count = min(count, len(self.vectors))
        numbers = np.empty((len(texts), count), dtype=int)
        cosines = np.empty((len(texts), count))
        for at in range(0, len(texts), BLOCK):
            products = vectors[at : at + BLOCK] @ self.vectors.T
            best = np.argsort(-products, axis=1, kind="stable")[:, :count]
            numbers[at : at + BLOCK] = best
            cosines[at : at + BLOCK] = np.take_along_axis(products, best, axis=1)
        # the same vector twice may have a product a rounding away from 1
        cosines = np.where(cosines > 1 - 1e-5, 1.0, np.clip(cosines, 0.0, 1.0))
        return numbers, cosines


class EditMatcher:
    """Nearest member by an edit distance in characters.

    Up to `EXACT` pairs are all compared. Beyond it only candidates are: the nearest by cosine, and
    those that share most rare words; `Nearest.exact` says so.
    """

    def __init__(self, kind: str, members: Sequence[str], cosine: CosineMatcher | None = None):
        self.id = kind
        self.members = list(members)
        self.cosine = cosine
        self._words = _WordIndex(self.members) if cosine else None
        self._scorer = _scorer(kind)

    def nearest(self, texts: Sequence[str], progress: Progress | None = None) -> Nearest:
        exact = len(texts) * len(self.members) <= EXACT or self.cosine is None
        rows = [range(len(self.members))] * len(texts) if exact else self._candidates(texts)
        scores, numbers = np.zeros(len(texts)), np.full(len(texts), -1)
        for i, (text, candidates) in enumerate(zip(texts, rows, strict=True)):
            if text.strip():
                scores[i], numbers[i] = self._best(text, candidates)
            if progress:
                progress(i + 1, len(texts), self.id)
        return Nearest(scores, numbers, exact)

    def _best(self, text: str, candidates: Sequence[int]) -> tuple[float, int]:
        best, number = -1.0, -1
        for m in candidates:
            # a score below the cutoff comes back as 0, sooner than its exact value would
            score = self._scorer(text, self.members[m], score_cutoff=max(best, 0.0))
            if score > best:
                best, number = score, m
        return best, number

    def _candidates(self, texts: Sequence[str]) -> list[list[int]]:
        assert self.cosine is not None and self._words is not None
        near = self.cosine.ranked(texts, CANDIDATES)[0]
        return [
            list(dict.fromkeys([*row.tolist(), *self._words.nearest(text, CANDIDATES)]))
            for row, text in zip(near, texts, strict=True)
        ]


class VerbatimMatcher:
    """Members that a text repeats word for word, white space apart."""

    id = VERBATIM

    def __init__(self, members: Sequence[str]):
        self.numbers = {m: i for i, m in enumerate(members)}

    def nearest(self, texts: Sequence[str], progress: Progress | None = None) -> Nearest:
        numbers = np.array([self.numbers.get(t, -1) for t in texts], dtype=int)
        return Nearest((numbers >= 0).astype(float), numbers)


class _WordIndex:
    """Members by their words, rare words first."""

    def __init__(self, members: Sequence[str]):
        self.members: dict[str, list[int]] = defaultdict(list)
        for i, text in enumerate(members):
            for word in set(text.lower().split()):
                self.members[word].append(i)
        self.weights = {
            w: math.log(1 + len(members) / len(numbers)) for w, numbers in self.members.items()
        }

    def nearest(self, text: str, count: int) -> list[int]:
        total: dict[int, float] = defaultdict(float)
        for word in set(text.lower().split()):
            for i in self.members.get(word, ()):
                total[i] += self.weights[word]
        return sorted(total, key=lambda i: (-total[i], i))[:count]


def edit_matchers(members: Sequence[str], cosine: CosineMatcher | None = None) -> list[EditMatcher]:
    """By Levenshtein and by Indel similarity. Raises MissingExtra without rapidfuzz."""
    return [EditMatcher(kind, members, cosine) for kind in (LEVENSHTEIN, INDEL)]


def longest_run(a: Sequence[Any], b: Sequence[Any]) -> int:
    """Length of the longest run of items (words) that both have."""
    return SequenceMatcher(None, list(a), list(b), autojunk=False).find_longest_match().size


def _scorer(kind: str) -> Any:
    try:
        from rapidfuzz.distance import Indel, Levenshtein
    except ImportError:
        raise MissingExtra("rapidfuzz", "strings", "the edit distances of veneer leak") from None
    scorers: dict[str, Any] = {LEVENSHTEIN: Levenshtein, INDEL: Indel}
    return scorers[kind].normalized_similarity
