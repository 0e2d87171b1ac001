"""Coverage of the interval of Cohen's kappa, by simulation: python benchmarks/kappa_coverage.py
(about half a minute)."""

from __future__ import annotations

import numpy as np

from veneer.statistics.agreement import agreement

MARGINS = {
    "even": [0.5, 0.5],
    "20 %": [0.8, 0.2],
    "5 %": [0.95, 0.05],
    "five even": [0.2] * 5,
    "five, one common": [0.6, 0.1, 0.1, 0.1, 0.1],
}
TABLES = 400  # a grid point


def main() -> None:
    """Both judges have the same margin p; tables are kappa * diag(p) + (1 - kappa) * p p'."""
    rng = np.random.default_rng(0)
    points = []
    for name, margin in MARGINS.items():
        p, k = np.array(margin), len(margin)
        for true in (0.0, 0.4, 0.8, 0.95, 1.0):
            cells = (true * np.diag(p) + (1 - true) * np.outer(p, p)).ravel()
            for n in (30, 100, 300):
                intervals = []
                for _ in range(TABLES):
                    drawn = rng.choice(k * k, size=n, p=cells / cells.sum())
                    e = agreement(drawn // k, drawn % k).kappa
                    if e.low is not None and e.high is not None:
                        intervals.append((e.low, e.high))
                low, high = np.array(intervals).T
                points.append((np.mean((low <= true) & (true <= high)), np.mean(high - low)))
                print(
                    f"{name:18} kappa {true:4.2f} n {n:3}: coverage {points[-1][0]:.3f}, width "
                    f"{points[-1][1]:.3f}, defined {len(intervals)}"
                )
    coverage = np.array([c for c, _ in points])
    print(f"{len(points)} points: mean {coverage.mean():.3f}, least {coverage.min():.3f}")


if __name__ == "__main__":
    main()
