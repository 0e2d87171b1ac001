"""The shared part of the fits of the built-in judges: the data folder, and errors in one
sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from veneer.foundation.errors import InputError


def data_folder() -> Path:
    """Return the folder of VENEER_DATA, otherwise ../shared/data beside the repository."""
    return Path(os.environ.get("VENEER_DATA") or Path(__file__).parents[3] / "shared" / "data")


def fit_and_write(fit: Callable[[Path], None]) -> int:
    """Call `fit` with the data folder and return the exit code: 0, or that of a bad input, which is
    printed as one sentence."""
    try:
        fit(data_folder())
    except InputError as error:
        print(f"veneer: error: {error}", file=sys.stderr)
        return error.exit_code
    return 0
