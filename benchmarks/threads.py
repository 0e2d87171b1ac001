"""Work beside other busy processes: numbers of threads, two ways of waiting, and `auto`.

    python benchmarks/threads.py [--work decoding] [--busy 0,1,2,4] [--rounds 3] [--out FILE]

Each cell is a process of its own that does one piece of work with the real pair (VENEER_PAIR,
VENEER_DATA) while so many processes of this script do nothing but count: it decodes a batch of
random prompts (the mean of some steps), captures prompts, extracts a veneer from a capture (a fixed
number of evaluations), or measures the likelihood of texts with the aligned model. Cells of one
load run in turn, `--rounds` times, and the shortest wall time is kept. Loading does not count.
`auto` decides as `--threads auto` does, in the time before the models are loaded. The table gives
each cell's time over that of the best fixed number with passive waiting under the same load. What
else runs on the machine is part of the load: the first column counts the processes of this script
alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from veneer.foundation.threads import NUMBERS, WAITING

# ends with the process that began it, also where that is killed
COUNTING = """
import os, sys
while os.getppid() == int(sys.argv[1]):
    for _ in range(10**6):
        pass
"""
PASSIVE = {"OMP_WAIT_POLICY": "passive"}
CELLS = {  # name: (--threads, how threads wait)
    "1": ("1", PASSIVE),
    "2": ("2", PASSIVE),
    "2, torch's own waiting": ("2", {}),
    "2, spin 1000": ("2", {"GOMP_SPINCOUNT": "1000"}),
    "2, spin 10000": ("2", {"GOMP_SPINCOUNT": "10000"}),
    "auto": ("auto", PASSIVE),
}


def decoding(given: argparse.Namespace) -> float:
    """Mean seconds of a step."""
    import torch

    from pair_prompts import folder
    from veneer.models.decode import Row, Sampling, decode_steps
    from veneer.models.load import load_model
    from veneer.models.stepper import ModelStepper

    lm = load_model(str(folder("VENEER_PAIR") / "base"), device="cpu")
    draw = torch.Generator().manual_seed(0)
    prompts = [torch.randint(5, 1000, (8,), generator=draw).tolist() for _ in range(given.batch)]
    how = Sampling(given.steps + 2)
    with torch.inference_mode():
        loop = decode_steps(ModelStepper(lm, prompts), [Row(how)] * given.batch, stop_ids=())
    next(loop), next(loop)  # reads the prompts; packs the weights
    before = time.perf_counter()
    for _ in range(given.steps):
        next(loop)
    return (time.perf_counter() - before) / given.steps


def capturing(given: argparse.Namespace, out: Path | None = None) -> float:
    """Seconds of a capture of 8 prompts."""
    from pair_prompts import load_pair, train_prompts
    from veneer import CaptureConfig, Sampling, capture_responses

    pair, prompts = load_pair(), train_prompts(4)
    config = CaptureConfig(noise_prompts=1, sampling=Sampling(32))
    with tempfile.TemporaryDirectory() as name:
        before = time.perf_counter()
        capture_responses(pair, prompts, out or Path(name) / "capture", config)
        return time.perf_counter() - before


def extracting(given: argparse.Namespace) -> float:
    """Seconds of an extraction of 12 evaluations."""
    from veneer import Capture, ExtractConfig, extract_veneer

    capture = Capture.open(given.capture)
    before = time.perf_counter()
    extract_veneer(capture, ExtractConfig(ridge=0.1, stop="optimum", max_evaluations=12))
    return time.perf_counter() - before


def measuring(given: argparse.Namespace) -> float:
    """Seconds of the likelihoods of 32 texts of 60 tokens behind 20 tokens."""
    import torch

    from pair_prompts import folder
    from veneer import System, load_model
    from veneer.systems.likelihood import score_pairs

    lm = load_model(str(folder("VENEER_PAIR") / "aligned"), device="cpu")
    ids = torch.randint(5, 1000, (32, 80), generator=torch.Generator().manual_seed(0)).tolist()
    before = time.perf_counter()
    score_pairs(System.of_model(lm), [(row[:20], row[20:]) for row in ids])
    return time.perf_counter() - before


WORK = {
    "decoding": decoding,
    "capture": capturing,
    "extraction": extracting,
    "measuring": measuring,
}


def cell(given: argparse.Namespace) -> None:
    """Print the seconds, and the number of threads. In a process of its own: the environment is
    read when torch is imported."""
    from veneer.foundation.threads import use_threads

    use_threads(given.cell)
    import torch

    seconds = WORK[given.work](given)
    print(json.dumps({"seconds": seconds, "threads": torch.get_num_threads()}))


def measured(name: str, given: argparse.Namespace) -> dict:
    threads, waiting = CELLS[name]
    environment = {k: v for k, v in os.environ.items() if k not in (*NUMBERS, *WAITING)} | waiting
    command = [sys.executable, __file__, "--cell", threads, "--work", given.work]
    command += ["--steps", str(given.steps), "--batch", str(given.batch)]
    command += ["--capture", str(given.capture)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", choices=WORK, default="decoding")
    parser.add_argument("--busy", default="0,1,2,4", help="numbers of busy processes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6, help="of decoding")
    parser.add_argument("--batch", type=int, default=16, help="of decoding")
    parser.add_argument("--cells", default=";".join(CELLS), help="some of them, with ; between")
    parser.add_argument("--out", type=Path, help="figures as JSON")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    parser.add_argument("--capture", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.cell:
        cell(given)
        return
    with tempfile.TemporaryDirectory() as name:
        given.capture = Path(name) / "capture"
        if given.work == "extraction":
            capturing(given, given.capture)
        table(given)


def table(given: argparse.Namespace) -> None:
    cells = given.cells.split(";")
    rows = []
    for busy in map(int, given.busy.split(",")):
        others = [
            subprocess.Popen([sys.executable, "-c", COUNTING, str(os.getpid())])
            for _ in range(busy)
        ]
        try:
            runs = [{n: measured(n, given) for n in cells} for _ in range(given.rounds)]
        finally:
            for other in others:
                other.kill()
                other.wait()
        seconds = {n: min(r[n]["seconds"] for r in runs) for n in cells}
        best = min(seconds[n] for n in ("1", "2") if n in seconds)
        row = {
            "work": given.work,
            "busy": busy,
            "load": round(os.getloadavg()[0], 1),
            "ratio": {n: round(s / best, 2) for n, s in seconds.items()},
            "best_s": round(best, 3),
            "auto_threads": [r["auto"]["threads"] for r in runs if "auto" in r],
        }
        print(json.dumps(row), flush=True)
        rows.append(row)
    if given.out:
        given.out.write_text(json.dumps({"cores": os.cpu_count(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
