"""What the commands work on, and a tally of faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tally import PAIR, Tally


@pytest.fixture
def tally(request) -> Iterator[Tally]:
    record = Tally(request.node.nodeid)
    yield record
    record.close()


@pytest.fixture(scope="session")
def artefacts(runner, tmp_path_factory) -> dict[str, Path]:
    """What the commands work on: a capture, its veneer, answers and a finished study. Not to be
    changed: copy them."""
    at = tmp_path_factory.mktemp("made")
    paths = {name: at / name for name in ("capture", "veneer", "study")} | {
        "answers": at / "answers.jsonl"
    }
    short = ("--limit", 10, "--max-new-tokens", 8, "--batch-size", 1)
    for command in (
        ("capture", *PAIR, "--prompts", "lab-requests", *short, "--out", paths["capture"]),
        ("extract", paths["capture"], "--out", paths["veneer"]),
        (
            "generate",
            "--model",
            "lab:base",
            "--prompts",
            "lab-sums",
            *short,
            "--out",
            paths["answers"],
        ),
        (
            "measure",
            *PAIR,
            "--veneer",
            paths["veneer"],
            "--tasks",
            "lab-sums",
            "--limit",
            4,
            "--max-new-tokens",
            6,
            "--no-controls",
            "--out",
            paths["study"],
        ),
    ):
        ended = runner.run(*command)
        assert ended.status == 0, ended.err
    return paths
