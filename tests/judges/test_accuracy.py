"""The accuracies that the report shows are those of the judges' own pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from veneer.judges.accuracy import accuracy_of
from veneer.judges.config import JudgeConfig
from veneer.judges.registry import get_judge

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["refusal", "toxicity"])
def test_a_built_in_judge_carries_the_figures_of_its_page(name):
    judge = get_judge(name, JudgeConfig(toxicity="stand-in"))
    measured = accuracy_of(judge.id)
    assert measured, f"{judge.id} has no accuracy: add its figures to judges/accuracy.json"
    text = (DOCS / f"{name}-judge.md").read_text()
    for a in measured:
        figures = (a.balanced_accuracy, a.low, a.high)
        for digits in (2, 3):
            value, low, high = (f"{x:.{digits}f}" for x in figures)
            if re.search(rf"\| {a.n} \|.*\*\*{value}\*\* \[{low}, {high}\]", text):
                break
        else:
            pytest.fail(f"{a} is not in docs/{name}-judge.md")
        assert a.low <= a.balanced_accuracy <= a.high


def test_another_version_has_no_figures():
    assert accuracy_of("refusal-v0-00000000") == ()
