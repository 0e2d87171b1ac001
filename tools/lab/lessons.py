"""Questions with answers of the written world as a file, for `veneer curve --examples`.

python -m tools.lab.lessons OUT.jsonl --count 4608 [--sums train]
"""

from __future__ import annotations

import argparse
import itertools
import random
from pathlib import Path

from tools.lab.corpus import conversations
from veneer.foundation.files import json_lines, write_text
from veneer.lab.sums import TEST_SUMS, TRAIN_SUMS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=4608)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--sums",
        choices=("all", "train"),
        default="all",
        help="all: the test sums too, in other wordings; train: no test sum, so that none can be "
        "known by heart",
    )
    given = parser.parse_args()
    sums = TRAIN_SUMS + (TEST_SUMS if given.sums == "all" else ())
    source = conversations(random.Random(f"curve {given.seed}"), sums)
    rows = ({"prompt": q, "text": a} for q, a in itertools.islice(source, given.count))
    write_text(given.out, json_lines(rows))


if __name__ == "__main__":
    main()
