"""Figures of the second paper's published data under the definitions of this package: each with its
printed value and how to compute it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from veneer.foundation.text import first_words, tok, words
from veneer.imports.imported import AS_STORED
from veneer.imports.overton import read_instances
from veneer.imports.registry import read_stored
from veneer.statistics import intervals
from veneer.statistics.intervals import Estimate
from veneer.studies.diversity import judged
from veneer.studies.diversity.answers_table import Judgements, by_prompt, read_judgements
from veneer.studies.diversity.coverage import lexical_coverage
from veneer.studies.diversity.judged import Topic, aspect, novelty, topics
from veneer.studies.diversity.judged import stance as stance_of
from veneer.studies.diversity.text_measures import jaccard_matrix, mean_pairwise_jaccard_distance

Value = Estimate | float


@dataclass(frozen=True)
class Figure:
    """printed: the value as it is printed, so many digits as are to agree. compute: from the folder
    that holds LIMA-OE and ConflictingQA."""

    name: str
    printed: str
    compute: Callable[[Path], Value]
    part: str = "diversity"

    def agrees(self, value: Value) -> bool:
        digits = len(self.printed.partition(".")[2])
        computed = number(value)
        return computed is not None and f"{computed:.{digits}f}" == self.printed


def number(value: Value) -> float | None:
    return value.value if isinstance(value, Estimate) else float(value)


@cache
def answers(data: Path, system: str, task: str = "LIMA-OE") -> dict[str, list[str]]:
    """prompt -> texts in sample order; errors are left out, nothing else."""
    table = by_prompt(
        read_stored(data / task / "outputs" / system / "samples.jsonl", rules=AS_STORED).responses
    )
    return {p: [t for _, t in sorted(row.items())] for p, row in table.items()}


@cache
def helpfulness(data: Path, system: str, task: str = "LIMA-OE") -> Judgements[float]:
    path = data / task / "eval-quality" / "outputs" / system / "samples.jsonl"
    return read_judgements(
        path,
        aspect("helpfulness"),
        prompts=len(read_instances(data / task / "instances" / "data.jsonl")),
    )


@cache
def stances(data: Path) -> list[list[str]]:
    """Return a list of labels a prompt of ConflictingQA, of gpt-3.5-turbo's samples."""
    folder = data / "ConflictingQA"
    path = folder / "eval-stance" / "outputs" / "gpt-3.5-turbo" / "samples.jsonl"
    judgements = read_judgements(
        path, stance_of, prompts=len(read_instances(folder / "instances" / "data.jsonl"))
    )
    return [
        [label for label in row.values() if label is not None] for row in judgements.values.values()
    ]


@cache
def new_in_base(data: Path) -> Judgements[float]:
    return read_judgements(
        data / "LIMA-OE/eval-missing/outputs/ref_llama-2-chat--alt_llama-2-base/samples.jsonl",
        novelty,
    )


@cache
def topics_of(data: Path) -> Judgements[list[Topic]]:
    path = data / "LIMA-OE/extract-topics/outputs/ref_llama-2-chat--alt_llama-2-base/samples.jsonl"
    return read_judgements(path, topics, prompts=50)


def lexical_diversity(data: Path, system: str) -> Estimate:
    return intervals.mean([_distance(t) for t in answers(data, system).values()])


def diversity_of_first_words(data: Path, system: str, count: int = 50) -> Estimate:
    """Of answers with so many words or more, cut to them; prompts with two such answers or more."""
    cut = [
        [first_words(t, count) for t in row if len(words(t)) >= count]
        for row in answers(data, system).values()
    ]
    return intervals.mean([_distance(row) for row in cut if len(row) > 1])


def mean_words(data: Path, system: str) -> Estimate:
    return intervals.mean(
        [np.mean([len(words(t)) for t in row]) for row in answers(data, system).values()]
    )


def mean_helpfulness(data: Path, system: str) -> Estimate:
    rows = [
        [s for s in row.values() if s is not None]
        for row in helpfulness(data, system).values.values()
    ]
    return intervals.ratio_of_sums([sum(r) for r in rows], [len(r) for r in rows])


def judged_answers(data: Path, system: str) -> int:
    return sum(
        s is not None for row in helpfulness(data, system).values.values() for s in row.values()
    )


def filtered(data: Path, system: str, threshold: float) -> judged.Filtered:
    table = helpfulness(data, system).values
    rows = answers(data, system)
    distances = [1 - jaccard_matrix([tok(t) for t in rows[p]]) for p in rows]
    return judged.filtered(
        distances, [[table[p].get(i) for i in range(len(rows[p]))] for p in rows], threshold
    )


def coverage(data: Path, covered: str, covering: str) -> Estimate:
    """Of every answer with words of `covered`, by sample 0 of `covering`: the mean over answers;
    intervals resample prompts."""
    other = answers(data, covering)
    rows = [
        [lexical_coverage(t, other[p][0]) for t in row] for p, row in answers(data, covered).items()
    ]
    judged = [[x for x in row if x is not None] for row in rows]
    return intervals.ratio_of_sums([sum(r) for r in judged], [len(r) for r in judged])


def with_words(data: Path, system: str) -> int:
    return sum(bool(tok(t)) for row in answers(data, system).values() for t in row)


def topic_count(data: Path, where: str) -> int:
    return sum(
        t.where == where
        for row in topics_of(data).values.values()
        for a in row.values()
        for t in a or ()
    )


def topic_rows(data: Path) -> int:
    return sum(a is not None for row in topics_of(data).values.values() for a in row.values())


def stance_count(data: Path, label: str) -> int:
    return Counter(x for row in stances(data) for x in row)[label]


def novelty_count(data: Path, score: int) -> int:
    return sum(s == score for row in new_in_base(data).values.values() for s in row.values())


def mean_novelty(data: Path) -> Estimate:
    rows = [[s for s in row.values() if s is not None] for row in new_in_base(data).values.values()]
    return intervals.ratio_of_sums([sum(r) for r in rows], [len(r) for r in rows])


def errors(data: Path, system: str) -> int:
    return sum(
        read_stored(
            data / "LIMA-OE" / "outputs" / system / "samples.jsonl", rules=AS_STORED
        ).dropped.values()
    )


def _distance(texts: list[str]) -> float:
    distance = mean_pairwise_jaccard_distance([tok(t) for t in texts])
    return np.nan if distance is None else distance


BASE, ICL, CHAT, GPT = "llama-2-base", "llama-2-icl", "llama-2-chat", "gpt-3.5-turbo"


def _each(
    name: str, compute: Callable[[Path, str], Value], printed: dict[str, str]
) -> list[Figure]:
    return [
        Figure(f"{name}, {s}", text, lambda data, s=s: compute(data, s))  # type: ignore[misc]
        for s, text in printed.items()
    ]


FIGURES: tuple[Figure, ...] = (
    *_each(
        "lexical diversity",
        lexical_diversity,
        {BASE: "0.856639", ICL: "0.736575", CHAT: "0.658821", GPT: "0.647343"},
    ),
    *_each(
        "lexical diversity on the first 50 words",
        diversity_of_first_words,
        {BASE: "0.821", CHAT: "0.600"},
    ),
    *_each(
        "mean words", mean_words, {BASE: "129.380", ICL: "221.540", CHAT: "472.668", GPT: "303.800"}
    ),
    *_each("helpfulness", mean_helpfulness, {BASE: "3.028", CHAT: "4.880", GPT: "4.90"}),
    *_each("answers judged for helpfulness", judged_answers, {BASE: "250", CHAT: "250", GPT: "50"}),
    Figure("helpfulness >= 4: samples kept", "118", lambda d: filtered(d, BASE, 4).samples),
    Figure("helpfulness >= 4: prompts kept", "36", lambda d: len(filtered(d, BASE, 4).prompts)),
    Figure(
        "helpfulness >= 4: lexical diversity",
        "0.818042",
        lambda d: intervals.mean(filtered(d, BASE, 4).kept),
    ),
    Figure(
        "helpfulness >= 4: unfiltered on the same prompts",
        "0.861378",
        lambda d: intervals.mean(filtered(d, BASE, 4).unfiltered),
    ),
    Figure(
        "base's words covered by chat's sample 0", "0.521446", lambda d: coverage(d, BASE, CHAT)
    ),
    Figure("base's samples with words", "249", lambda d: with_words(d, BASE)),
    Figure(
        "chat's words covered by base's sample 0", "0.152099", lambda d: coverage(d, CHAT, BASE)
    ),
    *(
        Figure(f"ConflictingQA, gpt-3.5-turbo, stance {s}", n, lambda d, s=s: stance_count(d, s))  # type: ignore[misc]
        for s, n in (("yes", "532"), ("no", "490"), ("both", "1141"), ("other", "7"))
    ),
    Figure(
        "ConflictingQA, gpt-3.5-turbo, stance entropy (bits)",
        "0.324659",
        lambda d: intervals.mean([judged.entropy(x) or 0.0 for x in stances(d)]),
    ),
    Figure(
        "ConflictingQA, gpt-3.5-turbo, pairwise disagreement",
        "0.187558",
        lambda d: intervals.mean([judged.disagreement(x) or 0.0 for x in stances(d)]),
    ),
    *(
        Figure(f"what base adds to chat, score {s}", n, lambda d, s=s: novelty_count(d, s))  # type: ignore[misc]
        for s, n in zip(range(1, 6), ("99", "66", "16", "36", "33"), strict=True)
    ),
    Figure("what base adds to chat, mean score", "2.352", mean_novelty),
    *(
        Figure(
            f"topics only in {s}" if s != "both" else "topics in both",
            n,
            lambda d, s=s: topic_count(d, s),  # type: ignore[misc]
        )
        for s, n in (("A", "2211"), ("both", "254"), ("B", "696"))
    ),
    Figure("topic rows parsed", "249", topic_rows),
    Figure(
        "errors among the 250 answers of the 5nn run",
        "240",
        lambda d: errors(d, "llama-2-icl-chat-5nn-prompt_similar"),
    ),
)
