"""The long campaign of faults: what was injected, what was survived with nothing lost, and
docs/faults.md from it.

    python benchmarks/faults.py run [--rounds 20] [--only WORDS] [--json benchmarks/faults.json]
        adds to the figures that are there
    python benchmarks/faults.py page [--json benchmarks/faults.json] --write docs/faults.md

`run` runs tests/faults with so many random moments a command, and the older tests of the same
kinds, each in a pytest of its own; --only gives pytest's -k. A test that is run again replaces its
figures. tests/faults/tally.py says how a fault is counted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# older tests -> the kind that each of their cases is counted under
OLDER = {
    "tests/endpoint/test_endpoint.py": "endpoint that fails or lies (tests/endpoint)",
    "tests/imports/test_imports.py::test_hostile_lines_are_refused_in_one_sentence": (
        "hostile stored answers (tests/imports)"
    ),
    "tests/models/test_load.py": "damaged, foreign or hostile model (tests/models)",
    "tests/models/test_formats.py::test_a_hostile_template_is_refused_or_sees_nothing": (
        "hostile chat template"
    ),
    "tests/cli/test_bad_input.py::test_bad_input_is_one_sentence_and_writes_nothing": (
        "bad command line or input (tests/cli)"
    ),
    "tests/cli/test_kill.py": "kill -9 of a command (tests/cli)",
    "tests/report/test_report_load.py::test_what_is_wrong_is_said_in_one_sentence": (
        "damaged study folder (tests/report)"
    ),
}
HOW = {
    "kill -9": (
        "the same command, run again, ends with the bytes of an undisturbed run; no file is ever "
        "half-written under its final name; no temporary stays"
    ),
    "disk full": (
        "a real tmpfs: one sentence, exit 1, whole files only; with more room the same command "
        "ends with the same result"
    ),
    "out of memory": (
        "a real RLIMIT_AS and torch's own allocator: halved batches give the same answers, a "
        "single prompt one sentence"
    ),
    "Ctrl-C": "exit 130, no traceback, no temporary; the same command ends with the same bytes",
    "two commands": "the second is refused in a sentence and writes nothing",
    "lock of a dead": "the next command works",
    "clock": (
        "killed and resumed under jumping clocks, with files from the future and the past: "
        "the same bytes"
    ),
    "shard": (
        "one sentence that names the folder, exit 2, nothing written, the capture is unchanged"
    ),
    "veneer": "one sentence, exit 2, nothing written, the veneer is unchanged",
    "safetensors": "one sentence, exit 2, nothing written, in bounded time and memory",
    "NaN or inf in states": "one sentence, no shard written",
    "endpoint": (
        "the true answer comes with the next attempt, or one error in bounded time and memory; "
        "the key appears nowhere"
    ),
    "hostile bytes": "a value or an InputError, in bounded time",
    "hostile JSON": "a value or an InputError",
    "path traversal": "nothing is written outside the folder; the name is kept as text",
    "link": "its target is unchanged",
    "hostile chat template": "no code reached, bounded time and size, one sentence",
    "pickle": "refused unopened",
    "secret": "in no file and on no stream",
    "hub name": "one sentence, exit 2, nothing written",
    "formula": "every cell is text to a spreadsheet",
    "HTML": "in Chromium: nothing runs, nothing is fetched, no element is made from it",
}


def run(place: Path, rounds: int, only: str | None) -> None:
    """Run the tests and put their counts into `place`."""
    counts = json.loads(place.read_text()) if place.is_file() else {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "faults.jsonl"
        environment = {
            **os.environ,
            "VENEER_FAULTS_OUT": str(out),
            "VENEER_FAULTS_ROUNDS": str(rounds),
            "OMP_NUM_THREADS": "1",
        }
        subprocess.run(
            [sys.executable, "-m", "pytest", "tests/faults", *(["-k", only] if only else [])],
            cwd=ROOT,
            env=environment,
            check=False,
        )
        add(counts, out)
    if only is None:
        for tests, kind in OLDER.items():
            done = subprocess.run(
                [sys.executable, "-m", "pytest", tests], cwd=ROOT, capture_output=True, text=True
            )
            count = {
                what: int(n)
                for n, what in re.findall(
                    r"(\d+) (passed|failed|error)", done.stdout.rsplit("\n", 3)[-2]
                )
            }
            total = sum(count.values())
            failed = re.findall(r"^(?:FAILED|ERROR) (.*)$", done.stdout, re.MULTILINE)
            counts[tests] = [
                {
                    "kind": kind,
                    "injected": total,
                    "survived": count.get("passed", 0),
                    "why": "; ".join(failed) or None,
                }
            ]
    place.write_text(json.dumps(counts, indent=1, sort_keys=True) + "\n")


def add(counts: dict[str, list[dict]], out: Path) -> None:
    """The rows of a run, by test and kind; a test that was run again replaces what was there."""
    fresh: dict[str, dict[str, dict]] = defaultdict(dict)
    for line in out.read_text().splitlines() if out.is_file() else []:
        row = json.loads(line)
        kept = fresh[row["test"]].setdefault(
            row["kind"], {"kind": row["kind"], "injected": 0, "survived": 0, "why": None}
        )
        kept["injected"] += row["injected"]
        kept["survived"] += row["survived"]
        kept["why"] = kept["why"] or row.get("why")
    counts |= {test: list(rows.values()) for test, rows in fresh.items()}


def table(counts: dict[str, list[dict]]) -> list[str]:
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for rows in counts.values():
        for row in rows:
            sums[row["kind"]][0] += row["injected"]
            sums[row["kind"]][1] += row["survived"]
    lines = ["| kind | injected | survived | survived means |", "|---|---|---|---|"]
    for kind in sorted(
        sums, key=lambda k: (next((i for i, h in enumerate(HOW) if k.startswith(h)), len(HOW)), k)
    ):
        how = next(
            (text for start, text in HOW.items() if kind.startswith(start)),
            "the test's own assertions hold",
        )
        lines.append(f"| {kind} | {sums[kind][0]:,} | {sums[kind][1]:,} | {how} |")
    for name, parsers in (("all but inputs of a parser", False), ("inputs of a parser", True)):
        injected, survived = map(
            sum,
            zip(
                *(s for k, s in sums.items() if k.endswith("for a parser") == parsers), strict=True
            ),
        )
        lines.append(f"| **{name}** | **{injected:,}** | **{survived:,}** | |")
    return lines


def page(place: Path, write: Path, words: Path) -> None:
    counts = json.loads(place.read_text())
    lost = [
        f"- {row['kind']}: {row['why']}"
        for rows in counts.values()
        for row in rows
        if row["survived"] < row["injected"]
    ]
    fuzz = place.with_name("fuzz.json")
    lines = (
        words.read_text()
        .replace("{table}", "\n".join(table(counts)))
        .replace("{lost}", "\n".join(lost) or "None.")
    )
    rows = json.loads(fuzz.read_text()) if fuzz.is_file() else []
    runs, finds = sum(r["executions"] for r in rows), sum(r["findings"] for r in rows)
    fuzzed = (
        (
            f"{len(rows)} parsers, {sum(r['seconds'] for r in rows):,} s, {runs:,} executions, "
            f"{finds} findings"
        )
        if rows
        else "not run"
    )
    write.write_text(lines.replace("{fuzz}", fuzzed))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("run", "page"))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "faults.json")
    parser.add_argument("--write", type=Path, default=ROOT / "docs" / "faults.md")
    given = parser.parse_args()
    if given.what == "run":
        run(given.json, given.rounds, given.only)
    else:
        page(given.json, given.write, ROOT / "benchmarks" / "faults_words.md")


if __name__ == "__main__":
    main()
