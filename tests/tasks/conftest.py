"""Every test of tasks begins without a data folder and without a network."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _no_data_and_no_network(monkeypatch, tmp_path):
    monkeypatch.delenv("VENEER_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
