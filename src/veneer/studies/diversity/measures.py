"""Every measure of one system's answers, prompt by prompt: only a few numbers per prompt are
kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from veneer.foundation.text import first_words, tok, tok_list, words
from veneer.studies.diversity.text_measures import (
    cosine_matrix,
    distinct,
    jaccard_matrix,
    mean_distance,
    mean_pairwise_jaccard_distance,
    order_name,
    self_bleu,
    vendi_score,
)

MATCHED_WORDS = 50  # lexical diversity at equal length
UNITS: dict[str, str] = {
    "lexical_diversity": "1 - Jaccard",
    "lexical_diversity_matched": "1 - Jaccard",
    "semantic_diversity": "1 - cosine",
    "distinct_1": "share of tokens",
    "distinct_2": "share of tokens",
    "distinct_3": "share of tokens",
    "self_bleu": "BLEU",
    "words": "words",
    "empty": "share",
}
Values = dict[str, float | None]


def measures(
    texts: Sequence[str], vectors: np.ndarray | None = None, orders: Sequence[float] = (1.0,)
) -> Values:
    """Metric -> value of one prompt's answers, None where undefined (fewer than two answers).

    vectors: (n, d) embeddings of the answers. `lexical_diversity_matched` is that of the first 50
    words of the answers that have as many, `lexical_diversity_nonempty` that of the answers with
    words: two without are equal, which makes a silent system look uniform.
    """
    sets = [tok(t) for t in texts]
    tokens = [tok_list(t) for t in texts]
    lengths = [len(words(t)) for t in texts]
    lexical = jaccard_matrix(sets)
    long = [
        first_words(t, MATCHED_WORDS)
        for t, n in zip(texts, lengths, strict=True)
        if n >= MATCHED_WORDS
    ]
    values: Values = {
        "lexical_diversity": mean_distance(lexical),
        "lexical_diversity_nonempty": mean_pairwise_jaccard_distance([s for s in sets if s]),
        "lexical_diversity_matched": mean_pairwise_jaccard_distance([tok(t) for t in long]),
        **{
            f"vendi_lexical_{order_name(q)}": vendi_score(lexical, q) if len(texts) > 1 else None
            for q in orders
        },
        **{f"distinct_{n}": distinct(tokens, n) for n in (1, 2, 3)},
        "self_bleu": self_bleu(tokens),
        "words": float(np.mean(lengths)) if lengths else None,
        "empty": float(np.mean([not n for n in lengths])) if lengths else None,
    }
    if vectors is not None:
        cosines = cosine_matrix(vectors)
        values["semantic_diversity"] = mean_distance(cosines)
        values |= {
            f"vendi_semantic_{order_name(q)}": vendi_score(cosines, q) if len(texts) > 1 else None
            for q in orders
        }
    return values


def lexical_diversities(prompts: Iterable[Sequence[str]]) -> Iterator[float | None]:
    """Lexical diversity of each prompt's answers; prompts may come from a stream of any length."""
    for texts in prompts:
        yield mean_pairwise_jaccard_distance([tok(t) for t in texts])


def table(rows: Sequence[Mapping[str, float | None]]) -> dict[str, np.ndarray]:
    """Metric -> (prompts,) values, NaN where undefined."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {
        m: np.array([np.nan if row.get(m) is None else row[m] for row in rows], float)
        for m in names
    }


def scale(metric: str) -> tuple[float, float]:
    """The least and the largest value: 1 - cosine goes to 2, the entropy of four stances to 2
    bits."""
    return (0, 2) if metric.startswith(("semantic_diversity", "stance_entropy")) else (0, 1)


def unit(metric: str) -> str:
    return "effective answers" if metric.startswith("vendi") else UNITS.get(metric, "")
