"""The command in this process and in forked ones, and a capture, a veneer and a demo to work on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from forked import Runner
from hub_server import Hub, hub
from veneer.cli import main

PAIR = ("--base", "lab:base", "--aligned", "lab:aligned")


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def veneer(capsys):
    """The command in this process: veneer("report", folder) -> exit code, stdout, stderr."""

    def call(*args: object) -> Outcome:
        capsys.readouterr()
        code = main([str(a) for a in args])
        return Outcome(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def runner() -> Iterator[Runner]:
    """Commands in processes of their own that need not import anything."""
    it = Runner()
    yield it
    it.close()


@pytest.fixture(scope="session")
def hubbed(tmp_path_factory) -> Iterator[tuple[Hub, Runner, Path]]:
    """A hub, a runner of commands for it, and their HF_HOME: the library reads the hub's address
    when it is imported."""
    home = tmp_path_factory.mktemp("home")
    with hub() as running:
        it = Runner(
            {
                "HF_ENDPOINT": running.url,
                "HF_HOME": str(home),
                "HF_HUB_DISABLE_XET": "1",
                "HF_HUB_OFFLINE": None,
                "HF_TOKEN": None,
            }
        )
        yield running, it, home
        it.close()


def run(*args: object) -> None:
    assert main([str(a) for a in args]) == 0


@pytest.fixture(scope="session")
def captured(tmp_path_factory) -> Path:
    """A capture of 12 requests."""
    out = tmp_path_factory.mktemp("captured") / "capture"
    run(
        "capture",
        *PAIR,
        "--prompts",
        "lab-requests",
        "--limit",
        "12",
        "--max-new-tokens",
        "16",
        "--out",
        out,
    )
    return out


@pytest.fixture(scope="session")
def extracted(captured) -> Path:
    """The veneer of that capture."""
    out = captured.parent / "veneer"
    run("extract", captured, "--out", out)
    return out


@pytest.fixture(scope="session")
def demonstrated(tmp_path_factory) -> Path:
    """The folder of a small demo."""
    out = tmp_path_factory.mktemp("demonstrated") / "demo"
    run("demo", "--limit", "6", "--out", out)
    return out
