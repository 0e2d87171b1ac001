"""Extraction against the published recipe and against dense Adam at its best learning rate, on one
capture of the real pair.

    python benchmarks/extraction.py capture WORK [--prompts 60]        make the capture
    python benchmarks/extraction.py ours WORK
        our solver, its time to every held-out KL
    python benchmarks/extraction.py recipe WORK [--epochs 500]
        Adam, 1e-5, batches of 1,000, dense, top-k renormalised
    python benchmarks/extraction.py sweep WORK [--seconds 120]         the same Adam at five rates
    python benchmarks/extraction.py lbfgs WORK [--seconds 120]
        torch.optim.LBFGS and SciPy's L-BFGS-B (which scikit-learn's logistic regression calls) over
        the same dense dW: one loss of all train tokens, as a person would write it
    python benchmarks/extraction.py table WORK [--out FILE]            the ratios, as JSON

Each run is a process of its own and writes WORK/NAME.json with a line a look: seconds since the
process began to read the capture (looks at the held-out part not counted for Adam, counted for
ours) and the select part's KL; and its peak memory. The recipe's targets are the stored top k
renormalised, k = 500 as published. Ratios compare times within one run of this script on one
machine.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

import torch

from machine import exp_speed, product_speed
from veneer.capture import Capture, CaptureConfig, capture
from veneer.head.config import ExtractConfig, PaperRecipe
from veneer.head.events import Event, RecipeStep, SearchStep
from veneer.head.extract import extract, split_of
from veneer.head.objective import Objective
from veneer.head.published_recipe import solve_as_published
from veneer.head.token_blocks import Tokens
from veneer.head.veneer import Veneer

RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
LBFGS = {
    "torch-lbfgs": "torch.optim.LBFGS, history 10, strong Wolfe",
    "scipy-lbfgs": "SciPy's L-BFGS-B",
}
AT = (10, 30, 100, 500)


def make(work: Path, prompts: int) -> None:
    from pair_prompts import load_pair, train_prompts

    capture(load_pair(), train_prompts(prompts // 2), work / "capture", CaptureConfig(k=500))


def ours(work: Path) -> None:
    started = time.perf_counter()
    looks: list[dict] = []

    def log(event: Event) -> None:
        if isinstance(event, SearchStep):
            look = {"seconds": time.perf_counter() - started, "kl": event.select_kl}
            looks.append({**look, "stage": event.stage, "evaluation": event.evaluation})

    veneer = extract(Capture.open(work / "capture"), ExtractConfig(), log=log).veneer
    spent = time.perf_counter() - started
    save(work / "ours.json", looks, spent, **floor(looks, veneer))


def floor(looks: list[dict], veneer: Veneer) -> dict[str, float]:
    """Seconds of the full stage, and those that its evaluations need at this machine's best: a
    product for the logits and one for the gradient, an exponential an entry, and a look at the
    select part a step without the gradient."""
    full = [x for x in looks if x["stage"] == "full"]
    facts, entries = veneer.facts["extraction"], len(veneer.changed_rows())
    evaluations, steps = full[-1]["evaluation"] - full[0]["evaluation"], len(full) - 1
    train, select = (
        facts["train_tokens"] * entries * evaluations,
        facts["select_tokens"] * entries * steps,
    )
    least = (2 * train + select) * veneer.width / product_speed(veneer.width) + (
        train + select
    ) / exp_speed()
    return {"full_stage_s": full[-1]["seconds"] - full[0]["seconds"], "full_stage_floor_s": least}


def adam(work: Path, name: str, recipe: PaperRecipe, most: float | None, every: int) -> None:
    taken = Capture.open(work / "capture")
    split = split_of(taken, 0)
    started = time.perf_counter()
    cpu = torch.device("cpu")
    tokens = Tokens.of_capture(taken, split.train, torch.float32, cpu)
    head = taken.head
    begun = time.perf_counter() - started
    select = Objective(
        Tokens.of_capture(taken, split.select, torch.float32, cpu), head, torch.arange(head.rows)
    )
    looks: list[dict] = []

    def log(event: Event) -> None:
        assert isinstance(event, RecipeStep)
        seconds = begun + event.seconds
        looks.append({"seconds": seconds, "kl": event.select_kl, "epoch": event.epoch})
        if event.epoch in AT or event.epoch % 20 == 0:
            save(work / f"{name}.json", looks, seconds)

    solve_as_published(tokens, select, head, recipe, seed=0, max_seconds=most, every=every, log=log)
    save(work / f"{name}.json", looks, looks[-1]["seconds"])


def full_batch(work: Path, solver: str, most: float) -> None:
    """L-BFGS of a library over dW (V, d), on the mean cross-entropy of the renormalised top k."""
    started = time.perf_counter()
    taken = Capture.open(work / "capture")
    split, cpu = split_of(taken, 0), torch.device("cpu")
    head = taken.head
    blocks = list(Tokens.of_capture(taken, split.train, torch.float32, cpu))
    hidden = torch.cat([b["hidden"] for b in blocks])
    ids = torch.cat([b["aligned_ids"] for b in blocks]).long()
    target = torch.cat([b["aligned_logprobs"] for b in blocks]).softmax(-1)
    weight = head.weight.float() * head.scale
    change = torch.zeros_like(weight, requires_grad=True)
    begun = time.perf_counter() - started
    select = Objective(
        Tokens.of_capture(taken, split.select, torch.float32, cpu), head, torch.arange(head.rows)
    )
    clock = Clock(begun, most)
    looks: list[dict] = []

    def loss() -> torch.Tensor:
        logits = hidden @ (weight + change).t()
        chosen = logits.gather(1, ids)
        return (logits.logsumexp(-1) - (target * chosen).sum(-1)).mean()

    def backward() -> float:
        change.grad = None
        value = loss()
        value.backward()
        return float(value.detach())

    def look() -> None:
        """Read the select part, with the clock stopped."""
        clock.pause()
        looks.append({"seconds": clock.spent, "kl": select.loss(change.detach())})
        save(work / f"{solver}.json", looks, clock.spent)
        clock.go()

    try:
        if solver == "torch-lbfgs":
            steps = torch.optim.LBFGS(
                [change], max_iter=1, history_size=10, line_search_fn="strong_wolfe"
            )
            while True:
                steps.step(backward)
                look()
        else:
            _scipy(change, backward, look)
    except TimeIsUp:
        pass


def _scipy(change: torch.Tensor, backward: Callable[[], float], look: Callable[[], None]) -> None:
    import numpy as np
    from scipy.optimize import minimize

    def at(flat: np.ndarray) -> tuple[float, np.ndarray]:
        with torch.no_grad():
            change.copy_(torch.from_numpy(flat).view_as(change))
        value = backward()
        return value, change.grad.numpy().ravel().astype(np.float64)  # type: ignore[union-attr]

    def after(flat: np.ndarray) -> None:
        with torch.no_grad():
            change.copy_(torch.from_numpy(flat).view_as(change))
        look()

    minimize(
        at,
        np.zeros(change.numel()),
        jac=True,
        method="L-BFGS-B",
        callback=after,
        options={"maxiter": 10**6, "maxfun": 10**6, "ftol": 0.0, "gtol": 0.0},
    )


class TimeIsUp(Exception):
    """The solver has had its seconds."""


class Clock:
    """Seconds of a solver, its looks at the select part left out."""

    def __init__(self, spent: float, most: float):
        self.spent, self.most, self.since = spent, most, time.perf_counter()

    def pause(self) -> None:
        self.spent += time.perf_counter() - self.since

    def go(self) -> None:
        """Run on. Raises TimeIsUp where the seconds are used up."""
        if self.spent >= self.most:
            raise TimeIsUp
        self.since = time.perf_counter()


def save(path: Path, looks: list[dict], seconds: float, **more: float) -> None:
    facts = {
        "looks": looks,
        "seconds": seconds,
        **more,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    path.write_text(json.dumps({**facts, "threads": torch.get_num_threads()}) + "\n")


def time_to(looks: list[dict], kl: float) -> float | None:
    return next((x["seconds"] for x in looks if x["kl"] <= kl), None)


def figures(work: Path) -> dict:
    """Every held-out KL that the others reached, with their seconds and ours (None: never)."""
    runs = {p.stem: json.loads(p.read_text()) for p in work.glob("*.json")}
    own, recipe = runs["ours"], runs["recipe"]

    def row(reach: str, look: dict) -> dict:
        return {
            "reach": f"{look['kl']:.4f} ({reach})",
            "theirs": look["seconds"],
            "ours": time_to(own["looks"], look["kl"]),
        }

    looks = [x for x in recipe["looks"] if x["epoch"] in AT or x is recipe["looks"][-1]]
    rows = [row(f"recipe, epoch {x['epoch']}", x) for x in looks]
    lowest = {
        name: min(v["looks"], key=lambda x: x["kl"])
        for name, v in runs.items()
        if name.startswith("adam-")
    }
    note = (
        f"Ours ends at {min(x['kl'] for x in own['looks']):.4f} after {own['seconds']:.1f} s. "
        f"Peak memory: ours {own['peak_mb']:,.0f} MB, recipe {recipe['peak_mb']:,.0f} MB. "
        f"Threads: ours {own['threads']}, recipe {recipe['threads']}."
    )
    note += (
        " Floor of the full stage's evaluations: "
        f"{own['full_stage_floor_s'] / own['full_stage_s']:.2f} of what they took."
    )
    if lowest:
        end = min(x["kl"] for x in own["looks"])
        there = {
            name: seconds
            for name in lowest
            if (seconds := time_to(runs[name]["looks"], end)) is not None
        }
        if there:
            first = min(there, key=lambda name: there[name])
            rate = first.removeprefix("adam-")
            rows.append(
                row(
                    f"ours ends; dense Adam at {rate}, first there of {len(lowest)} rates",
                    {"kl": end, "seconds": there[first]},
                )
            )
        reached = ", ".join(
            f"{n.removeprefix('adam-')} {x['kl']:.3f} ({x['seconds']:.0f} s)"
            for n, x in sorted(lowest.items())
        )
        note += f" Lowest KL of dense Adam by rate, of a look an epoch: {reached}."
    for solver, what in LBFGS.items():
        if solver in runs:
            looks = runs[solver]["looks"]
            least = min(looks, key=lambda x: x["kl"])
            rows.append(row(f"{what}: its lowest of {len(looks)} steps", least))
            note += f" Peak memory of {what}: {runs[solver]['peak_mb']:,.0f} MB."
    return {"rows": rows, "note": note}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("capture", "ours", "recipe", "sweep", "lbfgs", "table"))
    parser.add_argument("work", type=Path)
    parser.add_argument("--prompts", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--out", type=Path, help="figures as JSON, for benchmarks/performance.py")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    if given.what == "capture":
        make(given.work, given.prompts)
    elif given.what == "ours":
        ours(given.work)
    elif given.what == "recipe":
        adam(given.work, "recipe", PaperRecipe(epochs=given.epochs), None, every=10)
    elif given.what == "sweep":
        for rate in RATES:
            adam(
                given.work,
                f"adam-{rate:g}",
                PaperRecipe(rate, epochs=10**6),
                given.seconds,
                every=1,
            )
    elif given.what == "lbfgs":
        for solver in LBFGS:
            full_batch(given.work, solver, given.seconds)
    else:
        text = json.dumps(figures(given.work), indent=1)
        print(text)
        if given.out:
            given.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
