"""Where the seconds of a whole `veneer run` go, by stage, now and in another checkout.

    python benchmarks/stages.py WORK --other /path/to/checkout [--tasks advbench,svamp] [--train 40]
        [--test 40] [--threads 2] [--rounds 1] [--out FILE]

Each checkout runs the same command on the real pair (VENEER_PAIR, VENEER_DATA) in a folder of its
own under WORK, in turn, `--rounds` times; the shortest run of each is kept. Seconds of a stage are
those of run.json; "rest" is what the process spends outside of stages (imports, models, page).
Rows of both are compared: value, limits and n, for every row that both have.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

from pair_prompts import folder

HERE = Path(__file__).resolve().parent.parent


def run(checkout: Path, out: Path, given: argparse.Namespace) -> dict:
    """Seconds by stage, and CPU seconds, of one run into a new folder."""
    shutil.rmtree(out, ignore_errors=True)
    pair = folder("VENEER_PAIR")
    command = [sys.executable, "-m", "veneer", "run", "--out", str(out), "--tasks", given.tasks]
    command += ["--base", str(pair / "base"), "--aligned", str(pair / "aligned")]
    command += ["--train", str(given.train), "--test", str(given.test)]
    threads = {"OMP_NUM_THREADS": str(given.threads), "OMP_WAIT_POLICY": "passive"}
    before, cpu = time.perf_counter(), _cpu()
    with (out.parent / f"{out.name}.log").open("w") as log:
        subprocess.run(
            command,
            env={**os.environ, **threads, "PYTHONPATH": str(checkout / "src")},
            stdout=log,
            stderr=log,
            check=True,
        )
    whole = time.perf_counter() - before
    stages = json.loads((out / "run.json").read_text())["seconds"]
    rest = whole - sum(stages.values())
    return {"stages": {**stages, "rest": rest}, "seconds": whole, "cpu": _cpu() - cpu}


def _cpu() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def rows(out: Path) -> dict[tuple, tuple]:
    """Row -> its figures."""
    lines = [json.loads(x) for x in (out / "results.jsonl").read_text().splitlines()]
    names = ("study", "task", "metric", "system", "split", "of", "position")
    return {
        tuple(str(r.get(k)) for k in names): tuple(r.get(k) for k in ("value", "low", "high", "n"))
        for r in lines
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--other", type=Path, required=True, help="another checkout of Veneer")
    parser.add_argument("--tasks", default="advbench,svamp")
    parser.add_argument("--train", type=int, default=40)
    parser.add_argument("--test", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--out", type=Path, help="figures as JSON")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    sides = {"other": given.other, "now": HERE}
    runs_by_side: dict[str, list[dict]] = {name: [] for name in sides}
    for _ in range(given.rounds):
        for name, checkout in sides.items():
            runs_by_side[name].append(run(checkout, given.work / name, given))
    best = {name: min(runs, key=lambda r: r["seconds"]) for name, runs in runs_by_side.items()}
    a, b = (rows(given.work / name) for name in sides)
    both = a.keys() & b.keys()
    figures = {
        "setting": {k: getattr(given, k) for k in ("tasks", "train", "test", "threads", "rounds")},
        **best,
        "rows": {"both": len(both), "equal": sum(a[k] == b[k] for k in both)},
        "differ": sorted(" ".join(k) for k in both if a[k] != b[k])[:40],
    }
    print("| stage | other, s | now, s |\n|---|---|---|")
    for stage in dict.fromkeys([*best["other"]["stages"], *best["now"]["stages"]]):
        cells = [best[s]["stages"].get(stage) for s in sides]
        print(f"| {stage} | {' | '.join('-' if c is None else f'{c:.1f}' for c in cells)} |")
    for what, key in (("whole", "seconds"), ("CPU seconds", "cpu")):
        print(f"| {what} | {' | '.join(f'{best[s][key]:.1f}' for s in sides)} |")
    print(json.dumps(figures["rows"]))
    if given.out:
        given.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
