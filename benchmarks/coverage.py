"""How often the intervals of veneer.statistics.intervals hold the truth, by simulation.

    python benchmarks/coverage.py --write docs/statistics.md      all tables of that page

--runs is the number of simulated samples per row (portions in groups and MOVER: a quarter of them).

The tests of veneer.statistics.intervals run the same simulations, smaller.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binom, multivariate_normal, norm

from veneer.statistics import intervals

PATTERNS = np.array(list(itertools.product((0.0, 1.0), repeat=3)))  # of (system, base, aligned)


@dataclass(frozen=True)
class Outcomes:
    """True rates of base, system, aligned, and correlations of the normal variables behind them: of
    all, of system and aligned."""

    base: float
    system: float
    aligned: float
    rho: float = 0.0
    rho_system: float | None = None

    def cells(self) -> np.ndarray:
        """(8,) probability of each pattern, by inclusion and exclusion."""
        corr = np.full((3, 3), self.rho)
        np.fill_diagonal(corr, 1)
        corr[0, 2] = corr[2, 0] = self.rho if self.rho_system is None else self.rho_system
        cut = norm.ppf(np.clip([self.system, self.base, self.aligned], 1e-12, 1 - 1e-12))
        below = {
            ones: 1.0
            if not ones
            else float(multivariate_normal.cdf(cut[list(ones)], cov=corr[np.ix_(ones, ones)]))
            for size in range(4)
            for ones in itertools.combinations(range(3), size)
        }
        out = []
        for pattern in PATTERNS:
            ones = tuple(int(i) for i in np.flatnonzero(pattern))
            zeros = [i for i in range(3) if i not in ones]
            out.append(
                sum(
                    (-1) ** size * below[tuple(sorted((*ones, *more)))]
                    for size in range(len(zeros) + 1)
                    for more in itertools.combinations(zeros, size)
                )
            )
        p = np.clip(out, 0, None)
        return p / p.sum()

    def truth(self) -> float:
        system, base, aligned = self.cells() @ PATTERNS
        return (system - base) / (aligned - base)

    def errors_away(self, n: int) -> float:
        """The expected difference aligned - base in its standard errors."""
        p, d = self.cells(), PATTERNS[:, 2] - PATTERNS[:, 1]
        variance = p @ d**2 - (p @ d) ** 2
        return abs(p @ d) / max(np.sqrt(variance / n), 1e-12)


SCENARIOS = (
    Outcomes(0.01, 0.98, 0.99),
    Outcomes(0.01, 0.5, 0.99),
    Outcomes(0.02, 0.9, 0.98, 0, 0.5),
    Outcomes(0.005, 0.1, 0.18),
    Outcomes(0.005, 0.1, 0.3, 0.3, 0.8),
    Outcomes(0.1, 0.2, 0.4, 0.5),
    Outcomes(0.1, 0.2, 0.4, 0.9),
    Outcomes(0.01, 0.3, 0.31, 0.2, 0.95),
    Outcomes(0.5, 0.5, 0.8, 0.5),
    Outcomes(0.5, 0.95, 0.96, 0.2, 0.9),
    Outcomes(0.3, 0.02, 0.01, 0.3),
    Outcomes(0.9, 0.1, 0.05),
    Outcomes(0.2, 0.55, 0.5, 0.6),
    Outcomes(0.01, 0.01, 0.3),
    Outcomes(0.0, 1.0, 1.0),
)


def wilson_coverage(n: int) -> tuple[float, float]:
    """(mean, least) exact coverage of `rate` over true rates 0.01, 0.02, ... 0.99."""
    rates = np.arange(1, 100) / 100
    each = [intervals.rate(k, n) for k in range(n + 1)]
    holds = np.array([[e.low <= p <= e.high for p in rates] for e in each])
    covered = (binom.pmf(np.arange(n + 1)[:, None], n, rates) * holds).sum(0)
    return float(covered.mean()), float(covered.min())


Interval = Callable[[np.ndarray, np.ndarray, np.ndarray], "tuple[float, float] | None"]


def fieller(prior: float) -> Interval:
    """The interval of intervals.portion with another prior, without the shortcut
    for its null rule."""

    def interval(s: np.ndarray, b: np.ndarray, a: np.ndarray) -> tuple[float, float] | None:
        return intervals._fieller(s - b, a - b, intervals.Z, 1.0, prior)

    return interval


def mover(s: np.ndarray, b: np.ndarray, a: np.ndarray) -> tuple[float, float] | None:
    """Every R at which the contrast s - R a - (1 - R) b may be 0, by MOVER with Wilson limits and
    phi correlations (half a prompt added to each cell of the two-by-two tables), on a grid."""
    n, grid = len(s), np.linspace(-2, 4, 1201)
    rates = np.array([s.mean(), a.mean(), b.mean()])
    wilson = np.array([intervals.wilson_limits(p, n) for p in rates])
    down, up = rates - wilson[:, 0], wilson[:, 1] - rates
    weights = np.stack([np.ones_like(grid), -grid, grid - 1])

    def half(lower: bool) -> np.ndarray:
        d = np.where((weights > 0) == lower, down[:, None], up[:, None]) * weights
        total = (d**2).sum(0)
        for (i, x), (j, y) in itertools.combinations(enumerate((s, a, b)), 2):
            t = (
                np.array(
                    [
                        [(x * y).sum(), (x * (1 - y)).sum()],
                        [((1 - x) * y).sum(), ((1 - x) * (1 - y)).sum()],
                    ]
                )
                + 0.5
            )
            phi = (t[0, 0] * t[1, 1] - t[0, 1] * t[1, 0]) / np.sqrt(np.prod([*t.sum(0), *t.sum(1)]))
            total = total + 2 * phi * d[i] * d[j]
        return np.sqrt(np.maximum(total, 0))

    value = rates @ weights
    holds = grid[(value - half(True) <= 0) & (value + half(False) >= 0)]
    return (holds[0] - 0.0025, holds[-1] + 0.0025) if len(holds) else None


def portion_coverage(
    outcomes: Outcomes, n: int, runs: int, seed: int = 0, interval: Interval | None = None
) -> tuple[float, float, float]:
    """(coverage where the portion is not null, share not null, median width) of intervals.portion,
    or of another interval where intervals.portion is not null."""
    rng, truth = np.random.default_rng(seed), outcomes.truth()
    held, widths = [], []
    for counts in rng.multinomial(n, outcomes.cells(), size=runs):
        s, b, a = np.repeat(PATTERNS, counts, axis=0).T
        e = intervals.portion(s, b, a, seed=0)
        if e.value is None:
            continue
        limits = (e.low, e.high) if interval is None else interval(s, b, a)
        if limits is None:
            held.append(True)
            continue
        held.append(limits[0] - 1e-9 <= truth <= limits[1] + 1e-9)
        widths.append(limits[1] - limits[0])
    return float(np.mean(held)), len(held) / runs, float(np.median(widths))


def kl_prompts(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Made-up prompts: (sum of base's KL, sum of the veneer's KL, tokens),
    skewed and correlated."""
    tokens = np.ceil(rng.lognormal(3.0, 0.7, n))
    base = rng.gamma(3.0, 0.6, n)
    return base * tokens, base * rng.beta(1.5, 12, n) * tokens, tokens


def kl_coverage(n: int, runs: int, seed: int = 0) -> tuple[float, float]:
    """Coverage of the KL of a set and of kl_recovered."""
    rng = np.random.default_rng(seed)
    base, veneer, tokens = kl_prompts(rng, 2_000_000)
    true_kl, true_recovered = veneer.sum() / tokens.sum(), 1 - veneer.sum() / base.sum()
    held = []
    for _ in range(runs):
        b, v, t = kl_prompts(rng, n)
        kl, share = intervals.ratio_of_sums(v, t, seed=0), intervals.recovered(v, b, seed=0)
        held.append((kl.low <= true_kl <= kl.high, share.low <= true_recovered <= share.high))
    first, second = np.mean(held, axis=0)
    return float(first), float(second)


def cluster_coverage(groups: int, size: int, runs: int, seed: int = 0) -> tuple[float, float]:
    """Coverage of a rate of 0.2 in groups that differ (beta with standard deviation 0.16), with and
    without `clusters`."""
    rng, held = np.random.default_rng(seed), []
    ids = np.repeat(np.arange(groups), size)
    for _ in range(runs):
        x = (rng.random(groups * size) < np.repeat(rng.beta(1, 4, groups), size)).astype(float)
        each = (intervals.mean(x, seed=0, clusters=ids), intervals.mean(x, seed=0))
        held.append([e.low <= 0.2 <= e.high for e in each])
    first, second = np.mean(held, axis=0)
    return float(first), float(second)


def difference_coverage(outcomes: Outcomes, n: int, runs: int, seed: int = 0) -> float:
    """Coverage of the paired difference aligned - base."""
    rng, cells = np.random.default_rng(seed), outcomes.cells()
    truth, held = float(cells @ (PATTERNS[:, 2] - PATTERNS[:, 1])), []
    for counts in rng.multinomial(n, cells, size=runs):
        _, b, a = np.repeat(PATTERNS, counts, axis=0).T
        e = intervals.difference(a, b, seed=0)
        held.append(e.low - 1e-9 <= truth <= e.high + 1e-9)
    return float(np.mean(held))


def tables(runs: int) -> str:
    lines = ["## A rate (Wilson), exact", "", "True rates 0.01, 0.02, ... 0.99.", ""]
    lines += ["| n | mean coverage | least |", "|---|---|---|"]
    for n in (10, 30, 50, 100, 300):
        lines.append("| {} | {:.1%} | {:.1%} |".format(n, *wilson_coverage(n)))
    lines += ["", "## KL of a set and kl_recovered (bootstrap-t; few prompts: jackknife)", ""]
    lines += ["Skewed per-prompt sums, between 5 and 100 tokens per prompt.", ""]
    lines += ["| prompts | KL | kl_recovered |", "|---|---|---|"]
    for n in (2, 3, 4, 5, 8, 10, 20, 66, 200):
        lines.append("| {} | {:.1%} | {:.1%} |".format(n, *kl_coverage(n, runs)))
    lines += ["", "## Rates in groups (Wilson with the effective sample size)", ""]
    lines += ["| groups x prompts | with clusters | without |", "|---|---|---|"]
    for groups, size in ((8, 25), (16, 25), (31, 10)):
        lines.append(
            "| {} x {} | {:.1%} | {:.1%} |".format(
                groups, size, *cluster_coverage(groups, size, runs)
            )
        )
    lines += ["", *clustered_table(max(runs // 4, 1))]
    lines += [
        "## Paired difference aligned - base of rates (Bonett-Price) and portion (Fieller with "
        "prior)",
        "",
        (
            "Portions are listed where the expected difference is three of its standard errors or "
            "more; coverage counts"
        ),
        (
            "the runs in which the portion is not null. `rho`: correlation of the normal "
            "variables behind the outcomes, of"
        ),
        (
            "all three systems and of system with aligned. `prior ½`, `no prior`, `MOVER` (a "
            "quarter of the runs): the"
        ),
        "alternatives that were tried.",
        "",
        "| n | base, system, aligned | rho | SE away | difference | portion | not null | width | "
        "prior ½ | no prior | MOVER | its width |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    least: dict[str, float] = {}
    for n, o in itertools.product((30, 50, 100, 300), SCENARIOS):
        if o.errors_away(n) < 3:
            continue
        own = portion_coverage(o, n, runs)
        others = {"half": fieller(0.5), "none": fieller(0.0), "mover": mover}
        alternatives = {
            k: portion_coverage(o, n, runs // (4 if k == "mover" else 1), interval=f)
            for k, f in others.items()
        }
        for k, c in (("own", own), *alternatives.items()):
            least[k] = min(least.get(k, 1.0), c[0])
        rho = f"{o.rho:g}" + ("" if o.rho_system is None else f", {o.rho_system:g}")
        away = o.errors_away(n)
        lines.append(
            f"| {n} | {o.base:g}, {o.system:g}, {o.aligned:g} | {rho} | "
            f"{f'{away:.1f}' if away < 1e3 else 'certain'} | "
            f"{difference_coverage(o, n, runs):.1%} | **{own[0]:.1%}** | {own[1]:.0%} | "
            f"{own[2]:.2f} | {alternatives['half'][0]:.1%} | {alternatives['none'][0]:.1%} | "
            f"{alternatives['mover'][0]:.1%} | {alternatives['mover'][2]:.2f} |"
        )
    lines += ["", "Least coverage: " + ", ".join(f"{k} {v:.1%}" for k, v in least.items()) + "."]
    return "\n".join(lines) + "\n"


CLUSTERED = (
    (Outcomes(0.02, 0.5, 0.9, 0.3), 0.1),
    (Outcomes(0.1, 0.2, 0.4, 0.5), 0.1),
    (Outcomes(0.3, 0.1, 0.05, 0.5), 0.2),
    (Outcomes(0.05, 0.6, 0.65, 0.8), 0.1),
    (Outcomes(0.5, 0.6, 0.9, 0.3), 0.05),
)


def clustered_portion_coverage(
    outcomes: Outcomes, shared: float, groups: int, size: int, runs: int, seed: int = 0
) -> tuple[float, float, float]:
    """(coverage where the portion is not null, share not null, median width) of intervals.portion
    over clusters. shared: part of the variance of the normal variables that a cluster shares."""
    rng, held, widths = np.random.default_rng(seed), [], []
    corr = np.full((3, 3), outcomes.rho)
    np.fill_diagonal(corr, 1)
    root, ids = np.linalg.cholesky(corr), np.repeat(np.arange(groups), size)
    rates = np.array([outcomes.base, outcomes.system, outcomes.aligned])
    truth = (rates[1] - rates[0]) / (rates[2] - rates[0])
    for _ in range(runs):
        common = np.repeat(rng.normal(size=(groups, 3)) @ root.T, size, axis=0)
        own = rng.normal(size=(groups * size, 3)) @ root.T
        normal = np.sqrt(shared) * common + np.sqrt(1 - shared) * own
        base, system, aligned = (normal < norm.ppf(rates)).astype(float).T
        e = intervals.portion(system, base, aligned, clusters=ids)
        if e.value is not None:
            held.append(e.low <= truth <= e.high)
            widths.append(e.high - e.low)
    return float(np.mean(held)), len(held) / runs, float(np.median(widths))


def clustered_table(runs: int) -> list[str]:
    """Portions over clusters of prompts."""
    lines = [
        "## Portions in groups (Fieller over the sums of the groups, two prompts as prior)",
        "",
        f"{runs} runs. Shared: part of the variance that a group shares.",
        "",
        "| groups x prompts | base, system, aligned | shared | portion | not null | width |",
        "|---|---|---|---|---|---|",
    ]
    for (groups, size), (o, shared) in itertools.product(
        ((8, 25), (16, 25), (29, 7), (29, 50)), CLUSTERED
    ):
        covered, defined, width = clustered_portion_coverage(o, shared, groups, size, runs)
        lines.append(
            f"| {groups} x {size} | {o.base:g}, {o.system:g}, {o.aligned:g} | {shared:g} | "
            f"**{covered:.1%}** | {defined:.0%} | {width:.2f} |"
        )
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=4000)
    parser.add_argument(
        "--write", type=Path, help="replace what follows the line '<!-- measured -->' in this file"
    )
    args = parser.parse_args()
    text = tables(args.runs)
    if args.write is None:
        print(text)
        return
    head, mark, _ = args.write.read_text(encoding="utf-8").partition("<!-- measured -->\n")
    source = (
        f"\nWritten by `python benchmarks/coverage.py --runs {args.runs} --write "
        "docs/statistics.md`.\n\n"
    )
    args.write.write_text(head + mark + source + text, encoding="utf-8")


if __name__ == "__main__":
    main()
