"""Pairwise measures: the ratio against a plain double loop, and peak memory as prompts grow. Writes
what docs/results/diversity.md says.

    python benchmarks/pairwise.py            # 1,000 and 10,000 prompts of five answers

Answers are drawn from a Zipf vocabulary, about 200 words each, and are made while they are read: a
file of them would not be in memory either. Each size runs in a process of its own, so that its
peak is its own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np

from veneer.foundation.text import jaccard, tok
from veneer.studies.diversity.measures import lexical_diversities
from veneer.studies.diversity.text_measures import cosine_matrix, mean_distance

SAMPLES, WORDS, VOCABULARY, DIMENSIONS = 5, 200, 20_000, 384


def prompts(count: int, seed: int = 0) -> Iterator[list[str]]:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        ranks = np.minimum(rng.zipf(1.3, (SAMPLES, WORDS)), VOCABULARY)
        yield [" ".join(f"w{i}" for i in row) for row in ranks]


def vectors(count: int, seed: int = 0) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield rng.normal(size=(SAMPLES, DIMENSIONS)).astype(np.float32)


def loop_lexical(texts: list[str]) -> float:
    """As one writes it down: every pair by itself, words found anew for each."""
    pairs = list(itertools.combinations(texts, 2))
    return sum(1 - jaccard(tok(a), tok(b)) for a, b in pairs) / len(pairs)


def loop_semantic(rows: np.ndarray) -> float:
    pairs = list(itertools.combinations(range(len(rows)), 2))
    total = 0.0
    for i, j in pairs:
        a, b = [float(x) for x in rows[i]], [float(x) for x in rows[j]]
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        total += 1 - dot / (sum(x * x for x in a) ** 0.5 * sum(y * y for y in b) ** 0.5)
    return total / len(pairs)


def one(kind: str, count: int) -> dict[str, float]:
    """Mean, seconds without making the answers, and peak MB of this process."""
    total, spent, n = 0.0, 0.0, 0
    source: Iterator = prompts(count) if "lexical" in kind else vectors(count)
    for item in source:
        started = time.perf_counter()
        if kind == "lexical":
            value = next(lexical_diversities([item])) or 0.0
        elif kind == "semantic":
            value = mean_distance(cosine_matrix(item)) or 0.0
        else:
            value = loop_lexical(item) if kind == "loop lexical" else loop_semantic(item)
        spent, total, n = spent + time.perf_counter() - started, total + value, n + 1
    return {
        "mean": total / n,
        "seconds": spent,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def measure(kind: str, count: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--one", kind, str(count)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=2, metavar=("KIND", "PROMPTS"))
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000])
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one[0], int(given.one[1]))))
        return
    print(
        "| measure | prompts x answers | seconds | double loop, seconds | ratio | peak MB |\n"
        "|---|---|---|---|---|---|"
    )
    for kind in ("lexical", "semantic"):
        for count in given.sizes:
            ours, loop = measure(kind, count), measure(f"loop {kind}", count)
            assert abs(ours["mean"] - loop["mean"]) < 1e-6, (ours, loop)
            ratio = loop["seconds"] / ours["seconds"]
            print(
                f"| {kind} | {count:,} x {SAMPLES} | {ours['seconds']:.2f} | "
                f"{loop['seconds']:.2f} | {ratio:.1f} | {ours['peak']:.0f} |"
            )


if __name__ == "__main__":
    main()
