"""What each process does in test_torchrun.py: every extraction of a list, saved
by the first one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from veneer.head.config import ExtractConfig
from veneer.head.extract import extract
from veneer.scale.extraction import chosen_engine, holders
from veneer.scale.remote import open_capture

CONFIGS = {
    "default": ExtractConfig(),
    "exact": ExtractConfig(dtype="float64", stop="optimum", ridge=10.0),
    "bias": ExtractConfig(output="bias"),
    "hidden": ExtractConfig(output="hidden", max_evaluations=15),
    "rank": ExtractConfig(rank=3, dtype="float64"),
}


def main(place: str, out: str) -> None:
    torch.set_num_threads(1)
    for name, config in CONFIGS.items():
        with holders(chosen_engine("local"), place, config, device="cpu") as held:
            if held.leads:
                extraction = extract(open_capture(place), config, source=held.source)
                extraction.veneer.save(Path(out) / name)
                log = json.dumps([event.to_json() for event in extraction.log])
                (Path(out) / f"{name}.json").write_text(log, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
