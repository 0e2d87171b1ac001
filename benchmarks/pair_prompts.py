"""The real pair and its train prompts, for the benchmarks: VENEER_PAIR and VENEER_DATA
name the folders."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.tasks.registry import get_task


def folder(name: str) -> Path:
    """Exits with the mend where an environment variable is missing."""
    if not os.environ.get(name):
        sys.exit(
            f"set {name}: VENEER_PAIR is the folder that pairs/smollm2/make.py wrote, VENEER_DATA "
            "the data folder"
        )
    return Path(os.environ[name])


def load_pair() -> Pair:
    pair = folder("VENEER_PAIR")
    return Pair.load(str(pair / "base"), str(pair / "aligned"))


def train_prompts(each: int) -> list[Prompt]:
    """`each` AdvBench goals and as many SVAMP problems of the train parts."""
    data = folder("VENEER_DATA")
    return [
        p for name in ("advbench", "svamp") for p in get_task(name, data).prompts("train")[:each]
    ]
