"""No GPU is at hand in CI. Two devices of our own (twins.cpp) show what a GPU would: a tensor that
was left on the CPU, and a model whose layers are on two of them. The cases stand in on_twins.py and
run in one process of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


def test_all_of_it_on_another_device_and_on_two(tmp_path):
    if not (shutil.which("c++") or shutil.which("g++")) or not shutil.which("ninja"):
        pytest.skip("needs a C++ compiler and ninja, to make a device")
    built = subprocess.run(
        [sys.executable, HERE / "twins.py", tmp_path], capture_output=True, text=True, timeout=500
    )
    assert built.returncode == 0, built.stderr[-2000:]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-rf",
        "--tb=short",
        HERE / "on_twins.py",
    ]
    environment = {**os.environ, "VENEER_TWINS": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=HERE.parents[1], timeout=1200
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
