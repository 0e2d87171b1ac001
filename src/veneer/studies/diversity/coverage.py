"""How much of a base answer one aligned answer covers, and what a control of the same length covers
(docs/diversity.md).

Both coverages grow with length, so beside each stand four controls, of a base answer b and the
aligned sample a0: `matched`: a0 cut to b's number of words; `other_prompt`: the aligned sample 0 of
the next prompt of another cluster, whole; `base`: base's other answers to the prompt, one behind
the other in their order, cut to a0's number of words; `own_first`: base's own sample 0, whole, for
the others of its answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from veneer.foundation.text import clean, first_words, sentences, tok, words
from veneer.studies.diversity.text_measures import cosine_matrix

KINDS = ("", "matched", "other_prompt", "base", "own_first")
THRESHOLDS = (0.6, 0.7, 0.8)


@dataclass(frozen=True)
class Case:
    """One base answer and the texts that may cover it, by kind ("" is the
    aligned sample itself)."""

    answer: str
    cover: dict[str, str]


def cases(base: Sequence[str], aligned: str, other: str | None) -> list[Case]:
    """The cases of one prompt. base: in the order of the samples, sample 0 first. other: the
    aligned sample 0 of another prompt. Answers without words are dropped."""
    kept = []
    for i, answer in enumerate(base):
        if not tok(answer):
            continue
        rest = "\n".join(clean(b) for j, b in enumerate(base) if j != i)
        cover = {"": aligned, "matched": first_words(aligned, len(words(answer)))}
        if other is not None:
            cover["other_prompt"] = other
        if tok(rest):
            cover["base"] = first_words(rest, len(words(aligned)))
        if i:
            cover["own_first"] = base[0]
        kept.append(Case(answer, cover))
    return kept


def lexical_coverage(answer: str, cover: str) -> float | None:
    """|tok(answer) and tok(cover)| / |tok(answer)|; None for an answer without words."""
    own = tok(answer)
    return len(own & tok(cover)) / len(own) if own else None


def semantic_coverage(answer: np.ndarray, cover: np.ndarray, threshold: float) -> float | None:
    """Share of the answer's sentence vectors (n, d) whose best cosine with one of the cover's (m,
    d) reaches the threshold; 0 for a cover without sentences, None for an answer without."""
    if not len(answer):
        return None
    return float((cosine_matrix(answer, cover).max(1) >= threshold).mean()) if len(cover) else 0.0


def sentence_cases(
    base: Sequence[str], aligned: str, other: str | None
) -> list[dict[str, list[str]]]:
    """As `cases`, of whole sentences: a text is cut behind the last sentence that fits into the
    words, but holds one at least. The key "answer" is b itself."""
    kept = []
    for i, answer in enumerate(base):
        if not sentences(answer):
            continue
        rest = [s for j, b in enumerate(base) if j != i for s in sentences(b)]
        case = {
            "answer": sentences(answer),
            "": sentences(aligned),
            "matched": _fit(sentences(aligned), len(words(answer))),
        }
        if other is not None:
            case["other_prompt"] = sentences(other)
        if rest:
            case["base"] = _fit(rest, len(words(aligned)))
        if i:
            case["own_first"] = sentences(base[0])
        kept.append(case)
    return kept


def _fit(listed: Sequence[str], count: int) -> list[str]:
    total = np.cumsum([len(s.split()) for s in listed])
    return list(listed[: max(1, int((total <= count).sum()))])
