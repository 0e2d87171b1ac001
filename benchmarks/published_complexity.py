"""The published fronts of bits and score (arXiv 2602.15829), recomputed from the authors' own file.

    python benchmarks/published_complexity.py final-results-clean.jsonl [--all]

The file stands at the root of github.com/tvergara/sah (commit b5a5bd6). Bits of the script that
runs a program are added to each row. Compares the best point of every view with the table that
docs/complexity.md quotes, and exits 1 where a digit differs; --all prints every model and set.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

SCRIPT_BITS = {"baseline": 2_952, "prompt": 3_704, "data": 5_704, "lora": 2_832, "blora": 8_376}
VIEWS = {  # experiment -> (view, whose script)
    "baseline": ("baseline", "baseline"),
    "icl": ("prompt", "prompt"),
    "urial": ("prompt", "prompt"),
    "online_coding": ("data", "data"),
    "lora": ("lora", "lora"),
    "blora": ("lora", "blora"),
}


def points(path: Path) -> dict[tuple[str, str], dict[str, list[tuple[float, int]]]]:
    """(model, data set) -> view -> (score, bits with the script)."""
    table: dict = defaultdict(lambda: defaultdict(list))
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        view, script = VIEWS.get(row["experiment_name"], (row["experiment_name"], None))
        bits = int(row["bits"]) + (SCRIPT_BITS[script] if script else 0)
        table[row["model_name"], row["dataset_name"]][view].append((row["performance"], bits))
    return table


def front(own: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """The points that no point with as few bits equals, by bits."""
    best: list[tuple[float, int]] = []
    for score, bits in sorted(own, key=lambda p: (p[1], -p[0])):
        if not best or score > best[-1][0]:
            best.append((score, bits))
    return best


QUOTED = {  # model -> data -> view -> (score, bits) with the digits of the table
    "smollm3-stage1": {
        "math": {
            "baseline": (".026", "2,952"),
            "prompt": (".146", "4,705"),
            "lora": (".530", "3.0e+07"),
            "data": (".501", "8.3e+06"),
            "lm_head": (".315", "4.2e+09"),
            "full_ft": (".584", "4.9e+10"),
        },
        "ifeval": {
            "baseline": (".351", "2,952"),
            "prompt": (".359", "5,670"),
            "lora": (".480", "4.6e+06"),
            "data": (".496", "2.8e+07"),
            "lm_head": (".362", "4.2e+09"),
            "full_ft": (".493", "4.9e+10"),
        },
    },
    "olmo3-7b-step1414k": {
        "math": {
            "baseline": (".155", "2,952"),
            "prompt": (".423", "4,460"),
            "lora": (".676", "5.0e+06"),
            "data": (".641", "8.0e+06"),
            "lm_head": (".230", "6.6e+09"),
            "full_ft": (".657", "1.2e+11"),
        },
        "ifeval": {
            "baseline": (".349", "2,952"),
            "prompt": (".442", "7,463"),
            "lora": (".656", "5.6e+06"),
            "data": (".685", "2.5e+07"),
            "lm_head": (".319", "6.6e+09"),
            "full_ft": (".457", "1.2e+11"),
        },
    },
    "olmo3-32b-step656k": {
        "math": {
            "baseline": (".296", "2,952"),
            "prompt": (".722", "4,358"),
            "lora": (".820", "1.7e+07"),
            "data": (".818", "7.0e+06"),
        },
    },
}
DATA = {"math": "MetaMathQA", "ifeval": "ifeval"}


def digits(score: float, bits: int) -> tuple[str, str]:
    """A point as the table writes it."""
    return f"{score:.3f}".lstrip("0"), f"{bits:,}" if bits < 10_000 else f"{bits:.1e}"


def check(path: Path) -> int:
    """Print each quoted point beside the recomputed one; returns how many differ."""
    table, wrong = points(path), 0
    for model, sets in QUOTED.items():
        for data, quoted in sets.items():
            views = next(v for (m, d), v in table.items() if m == model and DATA[data] in d)
            for view, expected in quoted.items():
                score, bits = front(views[view])[-1]
                same = digits(score, bits) == expected
                wrong += not same
                mark = "" if same else f"  differs from {expected[0]} @ {expected[1]}"
                print(f"{model:20} {data:7} {view:9} {score:.4f} @ {bits:,}{mark}")
    print(f"{wrong} points differ")
    return wrong


def print_all(path: Path) -> None:
    for (model, data), views in sorted(points(path).items()):
        every = [point for own in views.values() for point in own]
        print(f"{model} on {data}: {len(every)} rows, {len(front(every))} on the front")
        for view, own in sorted(views.items()):
            score, bits = front(own)[-1]
            print(f"  {view:14} {score:8.4f} at {bits:.6g} bits ({len(own)} rows)")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or not Path(sys.argv[1]).is_file():
        sys.exit("expected the path of final-results-clean.jsonl")
    if sys.argv[2:] == ["--all"]:
        print_all(Path(sys.argv[1]))
    else:
        sys.exit(check(Path(sys.argv[1])) > 0)
