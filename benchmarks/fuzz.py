"""Coverage-guided fuzzing of every parser: any bytes give a value or an InputError,
in bounded time.

    python benchmarks/fuzz.py [--seconds 20] [--targets prompts,reply,...] [--json FILE]

Needs atheris (pip install atheris). Each target runs in a child for the time given, from the seeds
below; a finding is an exception of another kind or an input that takes longer than 5 s, and is
kept. Prints a JSON line a target: executions, edges seen, findings.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "faults"))


def one(target: str, seconds: int, seeds: list[bytes], read: Callable[[bytes], object]) -> dict:
    """Fuzz a target in a child, which ends where the time is over or something is found."""
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        (at / "seeds").mkdir()
        for number, seed in enumerate(seeds):
            (at / "seeds" / str(number)).write_bytes(seed)
        pid = os.fork()
        if pid == 0:
            child(at, seconds, read)
        os.waitpid(pid, 0)
        output = (at / "said").read_text(errors="replace")
        runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", output)
        edges = re.findall(r"cov: (\d+)", output)
        inputs = [
            p.read_bytes().decode("utf-8", "backslashreplace")[:400] for p in at.glob("found-*")
        ]
        last = re.search(r"=== Uncaught Python exception: ===\n(.*)", output)
        return {
            "target": target,
            "seconds": seconds,
            "executions": int(runs[1]) if runs else 0,
            "edges": int(edges[-1]) if edges else 0,
            "findings": len(inputs),
            "inputs": inputs,
            "exception": last[1][:200] if last else None,
        }


def child(at: Path, seconds: int, read: Callable[[bytes], object]) -> None:
    import atheris

    output = os.open(at / "said", os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    words = [
        f"-max_total_time={seconds}",
        "-timeout=5",
        "-rss_limit_mb=6144",
        f"-artifact_prefix={at}/found-",
        "-max_len=4096",
    ]
    atheris.Setup([sys.argv[0], *words, "-print_final_stats=1", str(at / "seeds")], read)
    atheris.Fuzz()
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--targets")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    import atheris

    with atheris.instrument_imports(include=["veneer", "parsers"]):
        from parsers import SEEDS, TARGETS
    rows = []
    for target in given.targets.split(",") if given.targets else TARGETS:
        rows.append(one(target, given.seconds, SEEDS.get(target, []), TARGETS[target]))
        print(json.dumps(rows[-1]), flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
