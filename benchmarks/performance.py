"""Writes the tables of docs/performance.md from the figures that the other scripts stored.

    python benchmarks/performance.py [--check]

The scripts write benchmarks/figures/NAME.json (capture.py --out, extraction.py table --out,
decode.py --out, serve.py --out, growth.py page --out); each table stands in the page between `<!--
NAME -->` and `<!-- end NAME -->`, and only what is between them is written. --check: exit 1 where
the page and the figures differ.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "performance.md"


def table(head: str, rows: list[list[Any]]) -> str:
    lines = [f"| {head} |", "|---" * (head.count("|") + 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(str(c) for c in row) + " |" for row in rows])


def capture(figures: list[dict]) -> str:
    rows = [
        [
            (
                f"{f['setting']} ({f['prompts']} prompts, {f['tokens']:,} tokens; lock-step "
                f"{f['lock_step_prompts']} prompts)"
            ),
            f["tokens_a_second"],
            f["lock_step_tokens_a_second"],
            f["ratio"],
            f["floor_share"],
            f["threads"],
        ]
        for f in figures
    ]
    return table(
        "setting | ours, tokens/s | lock-step, tokens/s | ratio | share of the floor | threads",
        rows,
    )


def extraction(figures: dict) -> str:
    rows = [
        [
            r["reach"],
            f"{r['theirs']:,.1f}",
            "never" if r["ours"] is None else f"{r['ours']:.2f}",
            "" if r["ours"] is None else f"{r['theirs'] / r['ours']:,.0f}",
        ]
        for r in figures["rows"]
    ]
    return (
        table("held-out KL to reach | theirs, s | ours, s | ratio", rows) + f"\n\n{figures['note']}"
    )


def decode(figures: dict) -> str:
    rows = [
        [r["what"], f"{r['ratio']:.3f}", f"{r['low']:.3f} to {r['high']:.3f}", r["runs"], r["goal"]]
        for r in figures["rows"]
    ]
    return table("what | ratio | 95 % interval | paired runs | goal", rows)


def growth(figures: dict) -> str:
    parts = []
    for name, facts in figures.items():
        rows = [
            [f"{p['x']:,}", f"{p['tokens']:,}", f"{p['seconds']:.1f}", f"{p['peak_mb']:,.0f}"]
            for p in facts["points"]
        ]
        parts.append(
            (
                f"{name}: time grows as x^{facts['time_exponent']:.2f}, memory as "
                f"x^{facts['memory_exponent']:.2f}\n\n"
            )
            + table("x | tokens | seconds | peak MB", rows)
        )
    return "\n\n".join(parts)


def serve(figures: dict) -> str:
    rows = [
        [
            r["clients"],
            f"{r['requests_a_second']:.2f}",
            f"{r['tokens_a_second']:.1f}",
            f"{r['ratio']:.2f}",
        ]
        for r in figures["rows"]
    ]
    return table("clients | requests/s | tokens/s | ratio to one client", rows)


TABLES: dict[str, Callable[[Any], str]] = {
    "capture": capture,
    "extraction": extraction,
    "decode": decode,
    "growth": growth,
    "serve": serve,
}


def filled(page: str) -> str:
    for name, draw in TABLES.items():
        path = HERE / "figures" / f"{name}.json"
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        if path.is_file() and marked.search(page):
            text = draw(json.loads(path.read_text(encoding="utf-8")))
            page = marked.sub(lambda m, text=text: f"{m[1]}{text}\n{m[2]}", page)
    return page


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    old = PAGE.read_text(encoding="utf-8")
    new = filled(old)
    if given.check:
        sys.exit(
            0
            if new == old
            else f"{PAGE} and benchmarks/figures differ; run python benchmarks/performance.py"
        )
    PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
