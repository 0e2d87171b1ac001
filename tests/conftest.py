"""Where the real data and the real pair are, for the tests that need them."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
import torch

# One thread: the models here are tiny, and on busy cores two threads that wait for each other take
# several times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)

# A shell's background jobs ignore Ctrl-C, and the tests of it would wait in vain.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

HERE = Path(__file__).resolve().parent
# `from tiny import tiny`, `from tools.lab import planted`
sys.path[:0] = [str(HERE), str(HERE.parent)]
pytest_plugins = ["command_fixtures", "report_fixtures"]


def pytest_collection_modifyitems(config, items):
    """The study of the real pair, the longest of the fixtures, comes first: of two processes one
    makes it, and none takes over a part of its tests. Slow tests run when asked for: `-m slow`,
    or by name."""
    items.sort(key=lambda item: item.path.name != "test_real_pair.py")
    if "slow" in (config.getoption("-m") or "") or any("::" in a for a in config.args):
        return
    skip = pytest.mark.skip(reason="slow; run with -m slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def data() -> Path:
    """The data folder: VENEER_DATA, or ../shared/data beside the repository."""
    for place in (os.environ.get("VENEER_DATA"), HERE.parent.parent / "shared" / "data"):
        if place and (Path(place) / "svamp").is_dir():
            return Path(place)
    pytest.skip("needs the data sets: set VENEER_DATA to a data folder")


@pytest.fixture(scope="session")
def real_pair() -> Path:
    """The real pair: VENEER_PAIR names a folder with base, aligned and compromised."""
    place = os.environ.get("VENEER_PAIR")
    if not place or not (Path(place) / "aligned" / "config.json").is_file():
        pytest.skip(
            "needs the real pair: set VENEER_PAIR to the folder that pairs/smollm2/make.py wrote"
        )
    return Path(place)
