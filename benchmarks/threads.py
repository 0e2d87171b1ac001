"""Decoding beside other busy processes: numbers of threads, two ways of waiting, and `auto`.

    python benchmarks/threads.py [--busy 0,1,2,4] [--rounds 3] [--steps 6] [--out FILE]

Each cell is a process of its own that decodes one batch of random prompts with base of the real
pair (VENEER_PAIR) while so many processes of this script do nothing but count. Cells of one load
run in turn, `--rounds` times, and the shortest mean wall time of a step is kept. `auto` decides as
`--threads auto` does, in the time before the model is loaded. The table gives each cell's time over
that of the best fixed number with passive waiting under the same load. What else runs on the
machine is part of the load: the table's first column counts the processes of this script alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from veneer.foundation.threads import NUMBERS, WAITING

PASSIVE = {"OMP_WAIT_POLICY": "passive"}
CELLS = {  # name: (--threads, how threads wait)
    "1": ("1", PASSIVE),
    "2": ("2", PASSIVE),
    "2, torch's own waiting": ("2", {}),
    "2, spin 1000": ("2", {"GOMP_SPINCOUNT": "1000"}),
    "2, spin 10000": ("2", {"GOMP_SPINCOUNT": "10000"}),
    "auto": ("auto", PASSIVE),
}


def cell(threads: str, steps: int, batch: int) -> None:
    """Print the mean seconds of a step, and the number of threads. In a process of its own:
    the environment is read when torch is imported."""
    from veneer.foundation.threads import use_threads

    use_threads(threads)
    import torch

    from pair_prompts import folder
    from veneer.models.decode import Row, Sampling, decode_steps
    from veneer.models.load import load_model
    from veneer.models.stepper import ModelStepper

    lm = load_model(str(folder("VENEER_PAIR") / "base"), device="cpu")
    draw = torch.Generator().manual_seed(0)
    prompts = [torch.randint(5, 1000, (8,), generator=draw).tolist() for _ in range(batch)]
    how = Sampling(steps + 1)
    with torch.inference_mode():
        loop = decode_steps(ModelStepper(lm, prompts), [Row(how)] * batch, stop_ids=())
    next(loop)
    times = []
    for _ in range(steps):
        before = time.perf_counter()
        next(loop)
        times.append(time.perf_counter() - before)
    print(json.dumps({"mean": sum(times) / len(times), "threads": torch.get_num_threads()}))


def measured(name: str, given: argparse.Namespace) -> dict:
    threads, waiting = CELLS[name]
    environment = {k: v for k, v in os.environ.items() if k not in (*NUMBERS, *WAITING)} | waiting
    command = [sys.executable, __file__, "--cell", threads]
    command += ["--steps", str(given.steps), "--batch", str(given.batch)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--busy", default="0,1,2,4", help="numbers of busy processes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--cells", default=";".join(CELLS), help="some of them, with ; between")
    parser.add_argument("--out", type=Path, help="figures as JSON")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.cell:
        cell(given.cell, given.steps, given.batch)
        return
    cells = given.cells.split(";")
    found = []
    for busy in map(int, given.busy.split(",")):
        others = [subprocess.Popen([sys.executable, "-c", "while 1: 0"]) for _ in range(busy)]
        try:
            runs = [{n: measured(n, given) for n in cells} for _ in range(given.rounds)]
        finally:
            for other in others:
                other.kill()
                other.wait()
        seconds = {n: min(r[n]["mean"] for r in runs) for n in cells}
        best = min(seconds[n] for n in ("1", "2") if n in seconds)
        row = {
            "busy": busy,
            "load": round(os.getloadavg()[0], 1),
            "ratio": {n: round(s / best, 2) for n, s in seconds.items()},
            "best_ms": round(1e3 * best, 1),
            "auto_threads": [r["auto"]["threads"] for r in runs if "auto" in r],
        }
        print(json.dumps(row), flush=True)
        found.append(row)
    if given.out:
        given.out.write_text(json.dumps({"cores": os.cpu_count(), "rows": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
