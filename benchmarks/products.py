"""One product of a decoding step: torch's, and that with a packed matrix (models/packed.py).

    python benchmarks/products.py [--rows 1,4,8,16,32,64,128] [--threads 1] [--rounds 5]

For matrices of the real pair's shapes with weights of a bfloat16 checkpoint, multiply-adds a second
of both, the best of --rounds; each matrix is one of many of its shape in turn, so that none is
in the processor's caches. Both products must agree. Then what packing costs: nanoseconds a weight.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from veneer.models.packed import Packed

SHAPES = [(1536, 576), (576, 1536), (49152, 576)]
SPACE = 60e6  # bytes of the matrices of one shape: more than the caches hold
WORK = 2e8  # multiply-adds of one round, at least two products


def seconds(product: Callable[[], Tensor], times: int, rounds: int) -> float:
    """Of one product, in the best round."""
    best = float("inf")
    for _ in range(rounds):
        before = time.perf_counter()
        for _ in range(times):
            product()
        best = min(best, (time.perf_counter() - before) / times)
    return best


def measured(weights: list[Tensor], packs: list[Packed], count: int, rounds: int) -> str:
    """G multiply-adds a second of the plain and the packed product of `count` states."""
    states = torch.randn(count, weights[0].shape[1])
    torch.testing.assert_close(
        packs[0].product(states), states @ weights[0].T, rtol=1e-4, atol=1e-4
    )
    work = count * weights[0].numel()
    plain: Iterator[Tensor] = itertools.cycle(weights)
    packed: Iterator[Packed] = itertools.cycle(packs)
    times = max(2, min(200, int(WORK / work)))
    taken = (
        seconds(lambda: torch.nn.functional.linear(states, next(plain)), times, rounds),
        seconds(lambda: next(packed).product(states), times, rounds),
    )
    return ", ".join(f"{work / s / 1e9:.1f}" for s in taken)


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="1,4,8,16,32,64,128")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    counts = [int(x) for x in given.rows.split(",")]
    print("| matrix | " + " | ".join(map(str, counts)) + " | packing, ns |")
    print("|---|" + "---|" * (len(counts) + 1))
    for rows, width in SHAPES:
        copies = max(1, int(SPACE / (4 * rows * width)))
        weights = [(torch.randn(rows, width) / 10).bfloat16().float() for _ in range(copies)]
        before = time.perf_counter()
        packs = [pack for w in weights if (pack := Packed.of(w)) is not None]
        each = (time.perf_counter() - before) / sum(w.numel() for w in weights)
        if len(packs) < copies:
            raise SystemExit("this build of torch has no product with packed weights")
        cells = [measured(weights, packs, n, given.rounds) for n in counts]
        print(f"| {rows} x {width} | " + " | ".join(cells) + f" | {1e9 * each:.0f} |", flush=True)


if __name__ == "__main__":
    main()
