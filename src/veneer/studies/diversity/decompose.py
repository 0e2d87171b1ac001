"""The drop of diversity from base to aligned as quality control + aggregation + rest, all in the
same unit of diversity.

On the prompts where base keeps two answers or more with helpfulness >= t:

    drop            = D(base) - D(aligned)
    quality control = D(base) - D(kept)
    aggregation     = D(kept) - D(kept, united by m)
    rest            = D(kept, united by m) - D(aligned)

so that the three add up to the drop. D(kept, united by m) is the diversity of answers that each say
what m of base's kept answers say: the expected 1 - J of the unions of m answers' token sets, two
such unions having no answer in common. With S(k) the expected size of the union of k answers
(accumulation.py), two unions share 2 S(m) - S(2m) words in expectation and hold S(2m) together, so
that

    D(m) = 2 (1 - S(m) / S(2m)),      D(kept, united by m) = D(kept) x mean D(m) / mean D(1).

m is not chosen but read off the aligned answers: the number of kept answers whose union covers
another kept answer's words as well as one aligned answer does, (S(1) + S(m) - S(m + 1)) / S(1) =
sum |b and a| / sum |b|. Words that the aligned answers add and base never says do not raise m:
being long is not aggregation. m is at least 1 and at most the mean number of kept answers, so that
S is extrapolated to twice the sample at most; where it is cut there, aggregation is a lower bound
and the rest an upper one.

Fresh unions are an assumption: where the aligned answers repeat one and the same union, they differ
less than fresh unions would, and that difference lands in the rest. The lexical decomposition
therefore has a second split of the same drop,

    aggregation_repeated = g (D(kept) - D(aligned, in base's words))
    rest_repeated        = drop - quality control - aggregation_repeated

where D(aligned, in base's words) is the diversity of the aligned answers' words that some kept
answer of the prompt has too, and g, 0 to 1, the share of what one base answer leaves uncovered of
another that one aligned answer covers: (c - c1) / (1 - c1) with the coverages c = sum |b and a| /
sum |b| and c1 = (2 S(1) - S(2)) / S(1). It is the whole of D(kept) where every aligned answer says
all that base says, and 0 where all of them repeat what one base answer says, which is a loss.

Semantic: an answer that says what m answers say has the mean of their vectors as its direction (as
a long text's chunks are joined in `embed`), so the cosine c of two answers becomes m c / (1 + (m -
1) c) (Spearman 1910, Brown 1910), with the same m.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

import numpy as np

from veneer.statistics import bootstrap, jackknife
from veneer.statistics.intervals import Estimate
from veneer.statistics.reasons import Reason
from veneer.studies.diversity.text_measures import accumulation, mean_pairwise_jaccard_distance

STEP = 0.1  # of m
LARGEST = 64.0  # of m: a cap for systems with very many samples
RESAMPLES = 2000
BLOCK = 4_000_000  # weights held at once
TERMS = ("drop", "quality_control", "aggregation", "rest", "united")
REPEATED = ("aggregation_repeated", "rest_repeated")  # of the lexical decomposition
Drawn = dict[str, np.ndarray]


@dataclass(frozen=True)
class PromptSets:
    """Token sets of one prompt: base's answers, those of them that are kept (two or more), the
    aligned system's (two or more)."""

    base: Sequence[Set[str]]
    kept: Sequence[Set[str]]
    aligned: Sequence[Set[str]]


@dataclass(frozen=True)
class PromptCosines:
    """Mean cosine over pairs of one prompt's answers: base's, the kept ones', the
    aligned system's."""

    base: float
    kept: float
    aligned: float


@dataclass(frozen=True)
class Decomposition:
    """Terms with intervals that resample prompts: drop, quality_control, aggregation, rest (in 1 -
    J or 1 - cosine) and united (m); lexical ones also aggregation_repeated and rest_repeated.
    capped: m reached its bound."""

    terms: dict[str, Estimate]
    capped: bool
    prompts: int


def decompose(
    prompts: Sequence[PromptSets], *, seed: int = 0, clusters: np.ndarray | None = None
) -> Decomposition:
    """Lexical decomposition (module docstring). clusters: (P,) one id per prompt; whole clusters
    are resampled. Raises ValueError for no prompts, or a prompt with fewer than two answers
    anywhere."""
    return _decompose(prompts, None, seed, clusters)


def decompose_semantic(
    prompts: Sequence[PromptSets],
    cosines: Sequence[PromptCosines],
    *,
    seed: int = 0,
    clusters: np.ndarray | None = None,
) -> Decomposition:
    """Semantic decomposition: m from the words of the same prompts, diversity from
    their mean cosines."""
    return _decompose(prompts, cosines, seed, clusters)


def _decompose(
    prompts: Sequence[PromptSets],
    cosines: Sequence[PromptCosines] | None,
    seed: int,
    clusters: np.ndarray | None,
) -> Decomposition:
    if not prompts or any(min(len(p.base), len(p.kept), len(p.aligned)) < 2 for p in prompts):
        raise ValueError("expected prompts with two answers or more of base, kept and aligned")
    most = min(LARGEST, max(1.0, float(np.mean([len(p.kept) for p in prompts]))))
    curve = _Curve.of(prompts, most)
    if cosines is None:
        d = np.array([[_lexical(p.base), _lexical(p.kept), _lexical(p.aligned)] for p in prompts])
        within = np.array([_lexical([a & _union(p.kept) for a in p.aligned]) for p in prompts])
        closer = np.zeros((len(prompts), len(curve.m)))
    else:
        d = 1 - np.array([[c.base, c.kept, c.aligned] for c in cosines])
        closer = _spearman_brown(np.clip([c.kept for c in cosines], 0.0, 1.0), curve.m)

    def statistic(weights: np.ndarray) -> Drawn:
        """(R, P) weights of the prompts -> each term, (R,)."""
        total = weights.sum(1, keepdims=True)
        base, good, aligned = (weights @ d / total).T
        m = curve.matched(weights)
        after = (
            good * curve.lexical(weights, m)
            if cosines is None
            else good - _at(curve.m, weights @ closer / total, m)
        )
        terms = {
            "drop": base - aligned,
            "quality_control": base - good,
            "aggregation": good - after,
            "rest": after - aligned,
            "united": m,
        }
        if cosines is not None:
            return terms
        repeated = curve.covered_beyond_one(weights) * (good - weights @ within / total[:, 0])
        return {
            **terms,
            "aggregation_repeated": repeated,
            "rest_repeated": good - aligned - repeated,
        }

    value = statistic(np.ones((1, len(prompts))))
    group = (
        np.arange(len(prompts)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    )
    limits = _limits(statistic, group, value, seed, most)
    return Decomposition(limits, bool(value["united"][0] >= curve.m[-1] - 1e-9), len(prompts))


@dataclass(frozen=True)
class _Curve:
    """m: (G,) from 1 to its bound. one: (P,) S(1). at, next, double: (P, G) S(m), S(m + 1), S(2m).
    shared, own: (P,) mean of |b and a| over kept b and aligned a, and mean |b|."""

    m: np.ndarray
    one: np.ndarray
    at: np.ndarray
    next: np.ndarray
    double: np.ndarray
    shared: np.ndarray

    @classmethod
    def of(cls, prompts: Sequence[PromptSets], most: float) -> _Curve:
        m = np.unique(np.append(np.arange(1.0, most, STEP), [1.0, most]))
        k = np.concatenate([m, m + 1, 2 * m])
        curves = np.array([accumulation(p.kept, k) for p in prompts]).reshape(
            len(prompts), 3, len(m)
        )
        one = np.array([np.mean([len(b) for b in p.kept]) for p in prompts])
        shared = np.array(
            [np.mean([len(b & a) for b in p.kept for a in p.aligned]) for p in prompts]
        )
        return cls(m, one, curves[:, 0], curves[:, 1], curves[:, 2], shared)

    def matched(self, weights: np.ndarray) -> np.ndarray:
        """(R,) the m whose coverage is the aligned answers'."""
        covered = weights @ (self.one[:, None] + self.at - self.next)  # (R, G), in words
        wanted = weights @ self.shared
        return np.array(
            [
                np.interp(w, np.maximum.accumulate(c), self.m)
                for w, c in zip(wanted, covered, strict=True)
            ]
        )

    def covered_beyond_one(self, weights: np.ndarray) -> np.ndarray:
        """(R,) g of the module docstring: 0 where an aligned answer covers no more than a base
        answer does, 1 where it covers all."""
        size = weights @ self.one
        one = weights @ (2 * self.one - self.next[:, 0])
        more, room = weights @ self.shared - one, size - one
        share = np.divide(more, room, out=np.zeros_like(more), where=room > 1e-12 * size)
        return np.clip(share, 0.0, 1.0)

    def lexical(self, weights: np.ndarray, m: np.ndarray) -> np.ndarray:
        """(R,) mean D(m) / mean D(1)."""
        ratio = np.divide(self.at, self.double, out=np.ones_like(self.at), where=self.double > 0)
        diversity = weights @ (2 * (1 - ratio))  # (R, G)
        first = diversity[:, 0]
        return np.divide(_at(self.m, diversity, m), first, out=np.ones_like(first), where=first > 0)


def _spearman_brown(c: np.ndarray, m: np.ndarray) -> np.ndarray:
    """(P, G) by how much uniting m answers raises the cosine c (P,)."""
    return m * c[:, None] / (1 + (m - 1) * c[:, None]) - c[:, None]


def _at(grid: np.ndarray, rows: np.ndarray, m: np.ndarray) -> np.ndarray:
    return np.array([np.interp(x, grid, row) for x, row in zip(m, rows, strict=True)])


def _union(sets: Sequence[Set[str]]) -> set[str]:
    return set().union(*sets)


def _lexical(sets: Sequence[Set[str]]) -> float:
    distance = mean_pairwise_jaccard_distance(sets)
    assert distance is not None
    return distance


def _limits(
    statistic: Callable[[np.ndarray], Drawn],
    group: np.ndarray,
    value: Drawn,
    seed: int,
    most: float,
) -> dict[str, Estimate]:
    """BCa intervals of every term from the same resamples of prompts, or of whole clusters. Few
    prompts' resamples reach no further than the prompts themselves, and the jackknife with
    Student's t, which does, sees nothing of a bound that m may reach: theirs is the wider of the
    two. group: (P,) the number of each prompt's cluster. most: the largest m."""
    points = {t: float(x[0]) for t, x in value.items()}
    n, k = len(group), int(group.max()) + 1
    if k < 2:
        note = "one prompt has no interval" if n < 2 else Reason("one_group").text
        return {t: Estimate(points[t], None, None, n, "bca", note) for t in points}
    rng, size = np.random.default_rng(seed), max(1, BLOCK // n)
    share = np.full(k, 1 / k)
    blocks = [
        statistic(rng.multinomial(k, share, min(size, RESAMPLES - at)).astype(float)[:, group])
        for at in range(0, RESAMPLES, size)
    ]
    left = [
        statistic(_without(range(at, min(at + size, k)), k)[:, group]) for at in range(0, k, size)
    ]
    reason = Reason.of("groups_resampled", groups=k) if k < n else None
    estimates = {}
    for t in points:
        drawn, left_out = (
            np.concatenate([column[t] for column in columns]) for columns in (blocks, left)
        )
        if np.ptp(drawn) <= 1e-12:
            note = (
                "at its bound in every resample" if t == "united" else "the same in every resample"
            )
            estimates[t] = Estimate(points[t], None, None, n, "bca", note)
        else:
            low, high, method = bootstrap.limits(points[t], drawn, left_out)
            if k < bootstrap.LEAST_FOR_BCA:
                least, largest = (1.0, most) if t == "united" else (-np.inf, np.inf)
                wide = jackknife.limits(points[t], left_out, "signed")
                low, high = min(low, max(wide[0], least)), max(high, min(wide[1], largest))
                method = wide[2]
            estimates[t] = Estimate(points[t], low, high, n, method, reason=reason)
    return estimates


def _without(rows: range, n: int) -> np.ndarray:
    weights = np.ones((len(rows), n))
    weights[np.arange(len(rows)), list(rows)] = 0
    return weights
