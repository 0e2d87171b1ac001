"""How right the time left is that a command shows.

    python benchmarks/time_left.py [--every 30] [--out FILE] -- run --base B --aligned A ...

Runs the `veneer` command behind `--` in this process and notes, at each line of progress, the
seconds that it believes to need still. When the command has ended, prints what was said beside what
would have been right, about every `--every` seconds, and the second from which on all of it was
within a third.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import ClassVar

from veneer.cli import main as veneer
from veneer.foundation import progress


class Noted(progress.PlainLines):
    """Plain lines that are remembered: (seconds since the start, place, seconds left)."""

    began = time.monotonic()
    estimates: ClassVar[list[tuple[float, str, float]]] = []

    def _print(self, text: str) -> None:
        super()._print(text)
        left = self.course.seconds_left()
        if left is not None:
            self.estimates.append((time.monotonic() - self.began, self.course.where, left))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=float, default=30.0, help="seconds between two rows")
    parser.add_argument("--out", type=Path, help="figures as JSON")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    progress.PlainLines = Noted  # type: ignore[misc]
    code = veneer(given.command)
    if code:
        sys.exit(code)
    whole = time.monotonic() - Noted.began
    rows = [
        {"at": round(at), "where": where, "said": round(left), "right": round(whole - at)}
        for at, where, left in Noted.estimates
    ]
    wrong = [r["at"] for r in rows if abs(r["said"] - r["right"]) > r["right"] / 3 + 5]
    print("| second | where | said, s | right, s |\n|---|---|---|---|")
    last = float("-inf")
    for r in rows:
        if r["at"] - last >= given.every:
            last = r["at"]
            print(f"| {r['at']} | {r['where']} | {r['said']} | {r['right']} |")
    first = rows[0]["at"] if rows else None
    figures = {"seconds": round(whole), "first": first, "wrong_until": max(wrong, default=None)}
    print(json.dumps(figures))
    if given.out:
        given.out.write_text(json.dumps({**figures, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
