"""What a notebook shows of tasks and plots, and what a mistyped field says."""

from __future__ import annotations

import pytest

from veneer import make_task
from veneer.foundation.errors import InputError
from veneer.foundation.results import Measurement
from veneer.report.export.plots import Plots
from veneer.report.load import StudyFolder
from veneer.report.results import Results

ROWS = Results([Measurement("measure", "sums", "accuracy", "base", 0.5, 9, 0.3, 0.7)])


@pytest.mark.parametrize("ask", [ROWS.where, ROWS.table])
def test_a_mistyped_field_is_named(ask):
    with pytest.raises(InputError, match="have no field 'metrics'; did you mean 'metric'"):
        ask(metrics="accuracy")


def test_a_task_shows_its_prompts_and_scores():
    task = make_task("mine", ["How?", "Why?"], lambda answer: bool(answer), train=["Who?"])
    shown = repr(task)
    assert shown.startswith("<Task: name: mine, test: 2, train: 1, scores: ")


def test_plots_show_what_they_offer():
    pytest.importorskip("matplotlib")
    assert repr(Plots(StudyFolder("results", tuple(ROWS)))).startswith("<Plots: portion()")
