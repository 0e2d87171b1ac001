"""Decoding: a merged checkpoint against its base, and a shifted system against its
two models apart.

    python benchmarks/decode.py [--base B] [--large L] [--small S] [--veneer V] [--runs 24]
        [--tokens 16] [--batch 8] [--out FILE]

Models by name; default: base of the real pair (VENEER_PAIR) in all three places. The veneer must
belong to --base and to --small; without one, a random one with --rows rows is made, which costs the
same. In every run each side decodes a batch of the same random prompts for exactly --tokens steps,
greedily, with the same loop; the shifted system and its two models alone are fed the same tokens.
Runs are paired: both sides take their steps in turn, in an order that alternates, so that a busy
machine slows both alike. What is timed is the steps behind the first one, in which the prompts are
read. Ratios are geometric means over the pairs with a 95 % interval (t on the logarithms), of
seconds on the wall clock and of CPU seconds of this process, which other processes disturb less.
Against other engines: engines.py.

Goals: merged within 5 % of 1; shifted at most 1.10 of its two models apart, intervals within 5 %.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from veneer.head.merge import merge
from veneer.head.veneer import Veneer
from veneer.models.decode import Row, Sampling, decode_steps, decode_with
from veneer.models.language_model import LanguageModel
from veneer.models.load import load_model
from veneer.models.stepper import ModelStepper, ShiftedStepper, Stepper
from veneer.systems.shifted import ShiftedSystem

Make = Callable[[], Stepper]
WARM_UP = 1  # pairs


class Fed(ModelStepper):
    """A model that decodes as ever, but goes on with the tokens (B, T) that it is given."""

    def __init__(self, lm: LanguageModel, prompts: Sequence[Sequence[int]], tokens: torch.Tensor):
        super().__init__(lm, prompts)
        self._tokens, self._step = tokens.to(lm.device), 0

    def feed(self, chosen: torch.Tensor) -> None:
        super().feed(self._tokens[:, self._step])
        self._step += 1


class FedShifted(ShiftedStepper):
    """The same for the shifted system."""

    _step = 0
    tokens: torch.Tensor

    def feed(self, chosen: torch.Tensor) -> None:
        super().feed(self.tokens[:, self._step])
        self._step += 1


def clocks() -> np.ndarray:
    """Seconds on the wall, CPU seconds."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return np.array([time.perf_counter(), time.process_time()])


def paired(
    one: Sequence[Make], other: Sequence[Make], how: Sampling, runs: int
) -> tuple[np.ndarray, np.ndarray]:
    """(runs, 2) seconds of each side, a side's parts summed."""
    seconds = np.zeros((WARM_UP + runs, 2, 2))
    for run in seconds:
        sides = [(run[side], make()) for side, parts in enumerate((one, other)) for make in parts]
        loops = [(t, decode_steps(s, [Row(how)] * len(s.prompts), stop_ids=())) for t, s in sides]
        for step in range(how.max_new_tokens):
            for taken, loop in loops if step % 2 else loops[::-1]:
                before = clocks()
                next(loop)
                if step:
                    taken += clocks() - before
    return seconds[WARM_UP:, 0], seconds[WARM_UP:, 1]


def ratio(one: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """Geometric mean of paired ratios with its 95 % t interval."""
    logs = np.log(one / other)
    half = float(stats.t.ppf(0.975, len(logs) - 1)) * float(logs.std(ddof=1)) / math.sqrt(len(logs))
    mean = float(logs.mean())
    return {
        "ratio": math.exp(mean),
        "low": math.exp(mean - half),
        "high": math.exp(mean + half),
        "runs": len(logs),
    }


def rows_of(
    what: str, one: np.ndarray, other: np.ndarray, goal: str, given: argparse.Namespace
) -> list[dict]:
    """One row for each clock, as benchmarks/performance.py reads them."""
    out = []
    for clock, name in enumerate(("wall clock", "CPU seconds")):
        steps = [
            round(1e3 * float(np.median(x[:, clock])) / (given.tokens - 1), 2) for x in (one, other)
        ]
        out.append(
            {
                "what": f"{what}, {name}",
                **ratio(one[:, clock], other[:, clock]),
                "goal": goal,
                "ms_a_step": steps,
            }
        )
    return out


def random_prompts(lm: LanguageModel, batch: int, length: int) -> list[list[int]]:
    """Rows of different lengths, up to `length` tokens."""
    draw = torch.Generator().manual_seed(0)
    top = len(lm.tokenizer.get_vocab())
    return [torch.randint(0, top, (length - i % 4,), generator=draw).tolist() for i in range(batch)]


def some_veneer(lm: LanguageModel, rows: int) -> Veneer:
    draw = torch.Generator().manual_seed(0)
    count, width = lm.head.weight.shape
    chosen = torch.randperm(count, generator=draw)[: min(rows, count)].sort().values
    return Veneer(
        lm.head.hash(), count, 1e-3 * torch.randn(len(chosen), width, generator=draw), chosen
    )


def merged_against_base(
    base: LanguageModel, name: str, veneer: Veneer, given: argparse.Namespace
) -> list[dict]:
    with tempfile.TemporaryDirectory() as folder:
        merged = load_model(str(merge(veneer, load_model(name), Path(folder) / "merged")))
    prompts = random_prompts(base, given.batch, given.prompt)
    one, other = paired(
        [lambda: ModelStepper(merged, prompts)],
        [lambda: ModelStepper(base, prompts)],
        Sampling(given.tokens),
        given.runs,
    )
    return rows_of("merged checkpoint / base", one, other, "0.95 to 1.05", given)


def shifted_against_parts(
    large: LanguageModel, small: LanguageModel, veneer: Veneer, given: argparse.Namespace
) -> list[dict]:
    system = ShiftedSystem.of_models(large, small, veneer)
    prompts = random_prompts(large, given.batch, given.prompt)
    own = system.shift.to_small.tolist()
    small_prompts = [[own[i] for i in p] for p in prompts]
    how = Sampling(given.tokens)
    answers = decode_with(system.stepper_of_ids(prompts, small_prompts), how, stop_ids=())
    tokens = torch.tensor([d.token_ids for d in answers], device=large.device)

    def together() -> Stepper:
        stepper = FedShifted(large, small, prompts, small_prompts, system.shift, system.alpha.at)
        stepper.tokens = tokens
        return stepper

    parts: list[Make] = [
        lambda: Fed(large, prompts, tokens),
        lambda: Fed(small, small_prompts, system.shift.small_ids(tokens)),
    ]
    one, other = paired([together], parts, how, given.runs)
    return rows_of(
        f"shifted ({len(system.shift.rows):,} rows of dW) / large + small",
        one,
        other,
        "at most 1.10",
        given,
    )


def show(setting: dict, rows: list[dict], out: Path | None) -> None:
    """Print the figures, and write them as JSON."""
    print(json.dumps(setting))
    for r in rows:
        one, other = r["ms_a_step"]
        print(
            f"{r['what']:56} {r['ratio']:.3f} ({r['low']:.3f} to {r['high']:.3f}), {r['runs']} "
            f"pairs, {one} and {other} ms a step; goal {r['goal']}"
        )
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps({"setting": setting, "rows": rows}, indent=1) + "\n")


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    own = str(Path(os.environ["VENEER_PAIR"]) / "base") if os.environ.get("VENEER_PAIR") else None
    parser.add_argument("--base", default=own, help="model that is merged")
    parser.add_argument("--large", default=own)
    parser.add_argument("--small", default=own)
    parser.add_argument("--veneer", type=Path, help="folder of a veneer of --base")
    parser.add_argument(
        "--small-veneer",
        type=Path,
        help="folder of a veneer of --small; default: --veneer, where it fits",
    )
    parser.add_argument("--rows", type=int, default=10_000, help="of a random veneer")
    parser.add_argument("--runs", type=int, default=24, help="pairs")
    parser.add_argument(
        "--tokens", type=int, default=17, help="steps a run, the first one with the prompts"
    )
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--prompt", type=int, default=16, help="tokens of the longest prompt")
    parser.add_argument("--only", choices=("merged", "shifted"))
    parser.add_argument("--out", type=Path, help="figures as JSON")
    given = parser.parse_args()
    if not (given.base and given.large and given.small):
        sys.exit(
            "set VENEER_PAIR to the folder that pairs/smollm2/make.py wrote, or give --base, "
            "--large and --small"
        )
    models = {name: load_model(name) for name in {given.base, given.large, given.small}}
    base, large, small = (models[n] for n in (given.base, given.large, given.small))
    veneer = Veneer.load(given.veneer) if given.veneer else some_veneer(base, given.rows)
    if given.small_veneer:
        small_veneer = Veneer.load(given.small_veneer)
    else:
        small_veneer = veneer if small is base else some_veneer(small, given.rows)
    rows = []
    if given.only in (None, "merged"):
        rows += merged_against_base(base, given.base, veneer, given)
    if given.only in (None, "shifted"):
        rows += shifted_against_parts(large, small, small_veneer, given)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    setting = {
        **{k: Path(getattr(given, k)).name for k in ("base", "large", "small")},
        "batch": given.batch,
        "steps": given.tokens,
        "prompt": given.prompt,
        "threads": torch.get_num_threads(),
        "dtype": str(base.head.weight.dtype),
        "device": device,
    }
    show(setting, rows, given.out)


if __name__ == "__main__":
    main()
