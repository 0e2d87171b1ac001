"""docs/overton-figures.md anew: `python benchmarks/overton_figures.py [DATA]`, by default VENEER_DATA."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from veneer.studies.diversity_page import write_page

PAGE = Path(__file__).resolve().parent.parent / "docs" / "overton-figures.md"

if __name__ == "__main__":
    place = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("VENEER_DATA")
    if place is None:
        sys.exit("give the data folder, or set VENEER_DATA")
    print(write_page(Path(place), PAGE))
