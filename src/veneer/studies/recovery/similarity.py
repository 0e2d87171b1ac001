"""How similar a system's answers are to the teacher's: words in common, embeddings, or a judge
model's verdict; the mean and the best of an answer's candidates. BERTScore stands in
bertscore.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import comb
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from veneer.embed import Embedder
from veneer.foundation.progress import Progress
from veneer.foundation.text import clean, jaccard, tok
from veneer.judges.asker import Asker
from veneer.judges.llm import judge_items
from veneer.judges.rubrics.reading import one_score
from veneer.judges.rubrics.rubric import ONE_TO_FIVE, TEXT, Rubric, Values, object_of


def expected_best(values: ArrayLike, m: int) -> float:
    """The mean, over all subsets of `m` of the n values, of the subset's largest: what the best of
    m candidates is worth.

    By order statistics: the j-th smallest value is the largest of C(j - 1, m - 1) of the C(n, m)
    subsets. Systems with different numbers of candidates are compared at one m; m = n is the plain
    maximum and m = 1 the mean. Raises ValueError where m is not in 1..n.
    """
    x = np.sort(np.asarray(values, float))
    n = len(x)
    if not 1 <= m <= n:
        raise ValueError(f"best of {m} of {n} values")
    if not np.all(np.isfinite(x)):
        raise ValueError("expected finite similarities")
    # C(j - 1, m - 1) with j from 1
    weights = np.array([comb(j, m - 1) / comb(n, m) for j in range(n)])
    return float(weights @ x)


def means(similarities: list[np.ndarray]) -> np.ndarray:
    """(n,) mean similarity of each prompt's candidates; NaN for a prompt without any."""
    return np.array([x.mean() if len(x) else np.nan for x in similarities])


def bests(similarities: list[np.ndarray], m: int) -> np.ndarray:
    """(n,) expected best of m of each prompt's candidates; NaN for a prompt that
    has fewer than m."""
    return np.array([expected_best(x, m) if len(x) >= m else np.nan for x in similarities])


def common_count(counts: list[list[int]]) -> int:
    """The number of candidates at which the best of all systems is compared: the least of any
    system's usual (median) number.

    counts: of each system, its candidates at each prompt. A few prompts with fewer candidates
    (errors) are left out rather than drawing every system down to them; 0 where a system has none.
    """
    return min(
        (int(np.median([c for c in row if c])) if any(row) else 0 for row in counts), default=0
    )


# Similarities of answers to a reference, one prompt at a time: words in common, and embeddings.

WINDOW = 256  # prompts whose texts are embedded together, so that memory does not grow with prompts


class Measure(Protocol):
    """name: as in results ("lexical", ...). judge: who decides (a model's id), or None where
    arithmetic does. note: what a reader must know of it, or None."""

    @property
    def name(self) -> str: ...
    @property
    def judge(self) -> str | None: ...
    @property
    def note(self) -> str | None: ...

    def similarities(
        self,
        references: Sequence[str],
        candidates: Sequence[Sequence[str]],
        progress: Progress | None = None,
    ) -> list[np.ndarray]:
        """Return one array per prompt, (candidates,): the similarity of each candidate to the
        prompt's reference, in their order."""
        ...


class Lexical:
    """Jaccard similarity of the sets of words; 1 of two texts without words."""

    name = "lexical"
    judge = None
    note = None

    def similarities(
        self,
        references: Sequence[str],
        candidates: Sequence[Sequence[str]],
        progress: Progress | None = None,
    ) -> list[np.ndarray]:
        out = []
        for reference, texts in zip(references, candidates, strict=True):
            words = tok(reference)
            out.append(np.array([jaccard(words, tok(c)) for c in texts], float))
        return out


class Embedded:
    """Cosine of embeddings of the cleaned texts; 0 where exactly one of the two is empty,
    1 where both are."""

    name = "embedding"
    note = None

    def __init__(self, embedder: Embedder):
        self._embedder = embedder
        self.judge = embedder.id
        self._known: tuple[list[str], np.ndarray] | None = None

    def similarities(
        self,
        references: Sequence[str],
        candidates: Sequence[Sequence[str]],
        progress: Progress | None = None,
    ) -> list[np.ndarray]:
        out: list[np.ndarray] = []
        known = self._references([clean(r) for r in references])
        for at in range(0, len(references), WINDOW):
            window = [[clean(c) for c in texts] for texts in candidates[at : at + WINDOW]]
            vectors = (
                self._embedder.embed([c for texts in window for c in texts])
                if any(window)
                else known[:0]
            )
            place = 0
            for row, texts in enumerate(window, at):
                own = vectors[place : place + len(texts)].astype(float)
                cosines = own @ known[row].astype(float)
                both_empty = np.array([not clean(references[row]) and not c for c in texts], bool)
                out.append(np.where(both_empty, 1.0, np.clip(cosines, -1.0, 1.0)))
                place += len(texts)
            if progress:
                progress(min(at + WINDOW, len(references)), len(references), "embeddings")
        return out

    def _references(self, texts: list[str]) -> np.ndarray:
        """(n, d), embedded once for all the systems that are compared with them."""
        if self._known is None or self._known[0] != texts:
            self._known = (texts, self._embedder.embed(texts))
        return self._known[1]


# A judge model's verdict: how much two answers to one question say the same

CRITERIA = """\
Compare by content, not by wording, order, or length:
1 - the two answers have nothing in common;
2 - a few points are the same, most are not;
3 - about half of the points are the same;
4 - most points are the same;
5 - they say the same throughout.
Which of the two is better does not matter."""


def _by_rule(fields: Mapping[str, str]) -> Values | None:
    """An empty answer has nothing in common with another, and all with an empty one."""
    empty = [not fields[f].strip() for f in ("answer_a", "answer_b")]
    return {"score": 5.0 if all(empty) else 1.0} if any(empty) else None


RUBRIC = Rubric(
    name="similarity",
    fields=("query", "answer_a", "answer_b"),
    task="You judge how much two answers to the same query say the same.",
    criteria=CRITERIA,
    form='{"reason": "one or two sentences", "score": a whole number from 1 to 5}',
    schema=object_of(reason=TEXT, score=ONE_TO_FIVE),
    read=one_score,
    by_rule=_by_rule,
)


class JudgedSimilarity:
    """(score - 1) / 4 of the judge's scale of 1 to 5. A pair without a verdict has no similarity
    and is counted, never scored."""

    name = "judge"

    def __init__(self, asker: Asker, queries: Sequence[str]):
        """queries: of the prompts, in the order in which similarities are asked for."""
        self._asker, self._queries = asker, list(queries)
        self.judge = f"{RUBRIC.id}@{asker.model}"
        self._asked = self._without = 0

    @property
    def note(self) -> str | None:
        known = "the judgement of a language model, not checked against people"
        return (
            f"{known}; {self._without} of {self._asked} pairs without a verdict"
            if self._without
            else known
        )

    def similarities(
        self,
        references: Sequence[str],
        candidates: Sequence[Sequence[str]],
        progress: Progress | None = None,
    ) -> list[np.ndarray]:
        items = [
            {"query": query, "answer_a": clean(reference), "answer_b": clean(c)}
            for query, reference, texts in zip(self._queries, references, candidates, strict=True)
            for c in texts
        ]
        verdicts = iter([j.verdict for j in judge_items(RUBRIC, items, self._asker, progress)])
        out = []
        for texts in candidates:
            answered = [next(verdicts) for _ in texts]
            self._asked += len(answered)
            self._without += sum(v is None for v in answered)
            out.append(
                np.array([(v.values["score"] - 1) / 4 for v in answered if v is not None], float)
            )
        return out
