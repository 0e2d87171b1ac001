"""How often the intervals of `veneer curve` hold the truth, by simulation.

    python benchmarks/curve_coverage.py [--runs 1000] [--write docs/statistics.md]

Counts come from a known curve: every training run has its own score at each size, which differs
from the curve by a normal variable on the logit scale (`spread`), and every prompt its own
difficulty, which all runs and sizes share (`prompts`). The figures are those that the study writes:
the rate at the greatest size, the exponent 1/b of the power law, the ceiling, and the examples at
95 % of the gain. The truth is that of the whole world: rates are averaged over all runs and prompts
first, and the curve is fitted to these averages.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sections import write_between
from veneer.statistics.crossed import crossed_rate
from veneer.studies.curve.families import POWER, SATURATING, examples_to, families, fit
from veneer.studies.curve.fits import Fitted, Measured

BEGIN, END = "<!-- curve -->\n", "<!-- end curve -->\n"
SIZES = (0, 16, 64, 256, 1024)
CERTAIN = 10**6  # answers behind the truth's own fit


@dataclass(frozen=True)
class World:
    """curve: score at each size. spread: of training runs. prompts: of difficulties; both standard
    deviations on the logit scale."""

    name: str
    curve: Callable[[np.ndarray], np.ndarray]
    spread: float
    prompts: float

    def rates(self, rng: np.random.Generator, seeds: int, n: int) -> np.ndarray:
        """(seeds, sizes, n) probabilities. Size 0 is base itself, the same in every run."""
        p = np.clip(self.curve(np.array(SIZES, float)), 1e-4, 1 - 1e-4)
        runs = self.spread * rng.normal(size=(seeds, len(SIZES), 1))
        runs[:, 0] = 0.0
        own = self.prompts * rng.normal(size=(1, 1, n))
        return 1 / (1 + np.exp(-(np.log(p / (1 - p))[None, :, None] + runs + own)))

    def answers(self, rng: np.random.Generator, seeds: int, n: int) -> np.ndarray:
        y = (rng.random((seeds, len(SIZES), n)) < self.rates(rng, seeds, n)).astype(float)
        y[:, 0] = y[0, 0]
        return y

    def means(self) -> np.ndarray:
        """(sizes,) rates of the whole world: the logistic function of a normal variable, by
        quadrature."""
        p = np.clip(self.curve(np.array(SIZES, float)), 1e-4, 1 - 1e-4)
        spread = np.array([0.0] + [self.spread] * (len(SIZES) - 1))
        nodes, weights = np.polynomial.hermite_e.hermegauss(60)
        logits = np.log(p / (1 - p))[:, None] + np.hypot(spread, self.prompts)[:, None] * nodes
        return (1 / (1 + np.exp(-logits))) @ weights / weights.sum()


def power(sizes: np.ndarray) -> np.ndarray:
    return np.where(sizes > 0, 0.1947 * np.maximum(sizes, 1.0) ** (1 / 7.66), 0.02)


def saturating(sizes: np.ndarray) -> np.ndarray:
    return 0.8 - 0.75 * (1 + sizes / 60) ** -2.0


WORLDS = tuple(
    World(name, curve, spread, prompts)
    for name, curve in (("power", power), ("saturating", saturating))
    for spread, prompts in ((0.0, 0.0), (0.2, 1.0), (0.6, 1.0))
)


def covered(world: World, seeds: int, n: int, runs: int, saturates: bool) -> list[float | None]:
    """Shares of simulated studies whose intervals hold the truth: rate, 1/b, and where `saturates`
    also the ceiling and the examples at 95 % of the gain."""
    rng, means = np.random.default_rng(seeds * 1000 + n), world.means()
    kinds = families(SIZES)
    truth = {f: fit(kinds[f], SIZES, means[None] * CERTAIN, CERTAIN) for f in (POWER, SATURATING)}
    wanted = (
        float(means[-1]),
        float(truth[POWER].shapes[0, 0]),
        float(truth[SATURATING].weights[0, 0]),
        float(np.log(examples_to(truth[SATURATING])[0])),
    )
    held = np.zeros(4)
    for i in range(runs):
        y = world.answers(rng, seeds, n)
        e = crossed_rate(y[:, -1])
        fitted = Fitted(Measured(SIZES, y, i))
        values = [fitted.of(POWER).shapes[:, 0]]
        if saturates:
            values += [fitted.of(SATURATING).weights[:, 0], np.log(fitted.to_95())]
        limits = [(e.low, e.high), *(fitted.crossed.limits(v) for v in values)]
        for j, (low, high) in enumerate(limits):
            held[j] += low - 1e-9 <= wanted[j] <= high + 1e-9
    shares: list[float | None] = [float(x) / runs for x in held]
    return shares if saturates else [*shares[:2], None, None]


def table(runs: int) -> str:
    lines = [
        f"Written by `python benchmarks/curve_coverage.py --runs {runs} --write "
        "docs/statistics.md`; sizes 0, 16, 64, 256 and 1,024. Spread: standard deviation of the "
        "training runs on the logit scale; prompts: of their difficulties. The last two columns "
        "fit a saturating curve to 604 resamples of each study, which takes ten times as long, "
        "and stand for three runs of 100 prompts alone.",
        "",
        "| truth | spread, prompts | runs x prompts | rate | 1/b | ceiling | examples at 95 % |",
        "|---|---|---|---|---|---|---|",
    ]
    for world in WORLDS:
        for seeds, n in ((1, 100), (3, 30), (3, 100), (5, 100)):
            saturates = world.curve is saturating and (seeds, n) == (3, 100)
            shares = covered(world, seeds, n, runs, saturates)
            cells = ["-" if x is None else f"{x:.1%}" for x in shares]
            lines.append(
                f"| {world.name} | {world.spread:g}, {world.prompts:g} | {seeds} x {n} | "
                f"{' | '.join(cells)} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--write", type=Path, help="replace the section between its marks")
    given = parser.parse_args()
    text = table(given.runs)
    if given.write is None:
        print(text)
        return
    write_between(given.write, BEGIN, END, text)


if __name__ == "__main__":
    main()
