"""The harness without a network, its caches in a folder of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from harness import write_tasks

pytest.importorskip("lm_eval", reason="needs lm-eval: pip install 'veneer[lm-eval]'")


@pytest.fixture(scope="session", autouse=True)
def offline(tmp_path_factory):
    """Set before the data sets library is imported by a test."""
    words = {
        "HF_DATASETS_OFFLINE": "1",
        "HF_DATASETS_CACHE": str(tmp_path_factory.mktemp("datasets")),
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    }
    before = {k: os.environ.get(k) for k in words}
    os.environ.update(words)
    yield
    for key, value in before.items():
        os.environ.pop(key) if value is None else os.environ.update({key: value})


@pytest.fixture(scope="session")
def tasks(tmp_path_factory) -> Path:
    return write_tasks(tmp_path_factory.mktemp("tasks"))
