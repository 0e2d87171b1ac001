"""distinct-n and self-BLEU of a prompt's answers, over the tokens of `text.tok_list`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

LONGEST = 4  # self-BLEU's n-grams
EPSILON = 0.1  # in place of no match at all: method 1 of Chen and Cherry 2014, as in Texygen


def ngrams(tokens: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return list(zip(*(tokens[i:] for i in range(n)), strict=False))


def distinct(answers: Sequence[Sequence[str]], n: int) -> float | None:
    """Distinct n-grams of all answers to a prompt / tokens of all answers (Li et al. 2016, arXiv 1510.03055, section 5.2). Falls with
    length. None without tokens."""
    tokens = sum(map(len, answers))
    return len({g for a in answers for g in ngrams(a, n)}) / tokens if tokens else None


def self_bleu(answers: Sequence[Sequence[str]]) -> float | None:
    """Mean BLEU-4 of each answer against the prompt's other answers (Zhu et al. 2018, Texygen, arXiv 1802.01886): high where answers
    repeat each other. None for fewer than two answers."""
    if len(answers) < 2:
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
