"""docs/models.md holds what the survey gives: every architecture right, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from survey import KINDS, examine, read_page

PAGE = read_page(Path(__file__).resolve().parents[2] / "docs" / "models.md")
QUICK = ["llama", "gpt_neo", "mistral", "llama4_text", "rwkv", "mamba2", "cpmant"]  # a window, chunks, recurrence, no causality


def check(kind: str, folder: Path) -> None:
    outcome = examine(kind, folder)
    assert outcome.result in ("right", "refused"), outcome
    if kind in PAGE:  # a page that is not whole yet says what it leaves out
        assert outcome.result == PAGE[kind].result, outcome


@pytest.mark.parametrize("kind", QUICK)
def test_a_few_architectures_are_as_the_page_says(kind, tmp_path):
    check(kind, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_architecture_is_as_the_page_says(kind, tmp_path):
    check(kind, tmp_path)


def test_the_page_holds_nothing_silently_wrong():
    assert PAGE and {o.result for o in PAGE.values()} <= {"right", "refused"}
