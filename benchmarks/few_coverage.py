"""How often the intervals of few prompts hold the truth, by simulation, for each kind of figure.

    python benchmarks/few_coverage.py --write docs/statistics.md      the table between its marks

`tests/statistics/test_few_prompts.py` runs some of the same simulations, smaller.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import norm

from coverage import kl_prompts
from sections import write_between
from veneer.statistics import intervals
from veneer.statistics.agreement import agreement, balanced_accuracy
from veneer.statistics.auroc import auroc
from veneer.statistics.intervals import Estimate

BEGIN, END = "<!-- few -->\n", "<!-- end few -->\n"
SIZES = (3, 5, 8, 12, 20, 50)
LARGE = 2_000_000  # prompts whose figure is taken as the truth, where no formula gives it
Rng = np.random.Generator
POINTS, LOW, HIGH = np.arange(1.0, 6), (0.6, 0.1, 0.1, 0.1, 0.1), (0.1, 0.1, 0.1, 0.1, 0.6)


@dataclass(frozen=True)
class Figure:
    """name; truth; draw(rng, n): the estimate of one sample of n prompts (or groups)."""

    name: str
    truth: float
    draw: Callable[[Rng, int], Estimate]

    def coverage(self, n: int, runs: int, seed: int = 0) -> float | None:
        """Share of the intervals that hold the truth; None where fewer than half have limits."""
        rng = np.random.default_rng(seed)
        held = [
            e.low - 1e-9 <= self.truth <= e.high + 1e-9
            for e in (self.draw(rng, n) for _ in range(runs))
            if e.low is not None and e.high is not None
        ]
        return float(np.mean(held)) if len(held) > runs / 2 else None


def hit_tokens(rng: Rng, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Hits and tokens of each prompt."""
    tokens = np.ceil(rng.lognormal(3, 0.7, n))
    return rng.binomial(tokens.astype(int), rng.beta(9, 1, n)).astype(float), tokens


def balanced(rng: Rng, n: int, right: float) -> Estimate:
    truth = rng.random(n) < 0.5
    return balanced_accuracy(truth, truth == (rng.random(n) < right))


def two_sets(rng: Rng, n: int, gap: float) -> Estimate:
    first = np.arange(max(n, 4)) % 2 == 0
    return auroc(rng.normal(size=len(first)) + gap * first, first)


def two_judges(rng: Rng, n: int) -> Estimate:
    """Each says yes to a fifth of the answers; kappa is 0.6."""
    cells = 0.6 * np.diag([0.8, 0.2]) + 0.4 * np.outer([0.8, 0.2], [0.8, 0.2])
    drawn = rng.choice(4, size=n, p=cells.ravel())
    return agreement(drawn // 2, drawn % 2).kappa


def in_groups(rng: Rng, groups: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes at rates of 0.7 and 0.3 in groups of 2 to 12 prompts, and the groups' numbers."""
    ids = np.repeat(np.arange(groups), np.minimum(1 + rng.geometric(0.3, groups), 12))
    rates = rng.beta(0.7, 0.3, groups)[ids]
    first, second = (rng.random((2, len(ids))) < [rates, np.full(len(ids), 0.3)]).astype(float)
    return first, second, ids


def rate_in_groups(rng: Rng, groups: int) -> Estimate:
    first, _, ids = in_groups(rng, groups)
    return intervals.mean(first, clusters=ids)


def difference_in_groups(rng: Rng, groups: int) -> Estimate:
    first, second, ids = in_groups(rng, groups)
    return intervals.difference(first, second, clusters=ids)


def skewed_three(rng: Rng, n: int) -> Estimate:
    """Portion of amounts with means 2, 1 and 3 times those of a prompt."""
    size = rng.lognormal(0, 0.5, n)
    return intervals.portion(*(size * m * rng.gamma(2, 0.5, n) for m in (2.0, 1.0, 3.0)))


def figures() -> tuple[Figure, ...]:
    base, veneer, tokens = kl_prompts(np.random.default_rng(1), LARGE)
    hits, all_tokens = hit_tokens(np.random.default_rng(2), LARGE)

    def recovered(rng: Rng, n: int) -> Estimate:
        b, v, _ = kl_prompts(rng, n)
        return intervals.recovered(v, b)

    return (
        Figure(
            "mean, exponential", 1, lambda r, n: intervals.mean(r.exponential(size=n), share=False)
        ),
        Figure(
            "mean, lognormal",
            np.exp(0.5),
            lambda r, n: intervals.mean(r.lognormal(size=n), share=False),
        ),
        Figure(
            "KL of a set",
            veneer.sum() / tokens.sum(),
            lambda r, n: intervals.ratio_of_sums(*kl_prompts(r, n)[1:]),
        ),
        Figure("kl_recovered", 1 - veneer.sum() / base.sum(), recovered),
        Figure(
            "share of tokens, 0.9",
            hits.sum() / all_tokens.sum(),
            lambda r, n: intervals.ratio_on_scale(*hit_tokens(r, n), 0, 1),
        ),
        Figure(
            "score of 1 to 5",
            POINTS @ HIGH,
            lambda r, n: intervals.on_scale(r.choice(POINTS, n, p=HIGH), 1, 5),
        ),
        Figure(
            "difference, exponential",
            1,
            lambda r, n: intervals.difference(r.exponential(size=n), np.zeros(n)),
        ),
        Figure(
            "difference, lognormal",
            np.exp(0.5) - np.exp(0.125),
            lambda r, n: intervals.difference(r.lognormal(size=n), r.lognormal(0, 0.5, n)),
        ),
        Figure(
            "difference of scores",
            POINTS @ HIGH - POINTS @ LOW,
            lambda r, n: intervals.difference(
                r.choice(POINTS, n, p=HIGH), r.choice(POINTS, n, p=LOW)
            ),
        ),
        Figure(
            "difference of rates, 0.9 and 0.6",
            0.3,
            lambda r, n: intervals.difference(*(r.random((2, n)) < [[0.9], [0.6]]).astype(float)),
        ),
        Figure(
            "difference of rates in groups",
            0.4,
            difference_in_groups,
        ),
        Figure("rate in groups", 0.7, rate_in_groups),
        Figure("portion of skewed amounts", 0.5, skewed_three),
        Figure("AUROC 0.5", 0.5, lambda r, n: two_sets(r, n, 0)),
        Figure("AUROC 0.92", norm.cdf(2 / 2**0.5), lambda r, n: two_sets(r, n, 2)),
        Figure("balanced accuracy 0.9", 0.9, lambda r, n: balanced(r, n, 0.9)),
        Figure("balanced accuracy 0.98", 0.98, lambda r, n: balanced(r, n, 0.98)),
        Figure("kappa 0.6, a fifth yes", 0.6, two_judges),
    )


def table(runs: int) -> str:
    lines = [
        f"Written by `python benchmarks/few_coverage.py --runs {runs} --write docs/statistics.md`. "
        "An AUROC of 3 prompts has 4, two against two. A dash: fewer than half of the samples "
        "give limits.",
        "",
        f"| figure | {' | '.join(map(str, SIZES))} |",
        f"|---|{'---|' * len(SIZES)}",
    ]
    for figure in figures():
        shares = [figure.coverage(n, runs) for n in SIZES]
        cells = ["-" if x is None else f"{x:.1%}" for x in shares]
        lines.append(f"| {figure.name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--write", type=Path, help="replace the table between its marks")
    given = parser.parse_args()
    text = table(given.runs)
    if given.write is None:
        print(text)
        return
    write_between(given.write, BEGIN, END, text)


if __name__ == "__main__":
    main()
