"""Discernment in a whole run: the rows, the file behind them, the page and the terminal."""

from __future__ import annotations

import json

import pytest
from sklearn.metrics import roc_auc_score

from veneer.foundation.results import Results

TASK = "lab-requests+lab-harmless"


def test_the_rows_are_those_of_the_log_odds_in_the_file(demonstrated):
    rows = Results.read(demonstrated / "results.jsonl")
    lines = (demonstrated / "discernment.jsonl").read_text().splitlines()
    odds = [json.loads(line) for line in lines]
    areas = {r.system: r for r in rows.where(metric="discernment_auroc")}
    assert {"base", "veneer", "aligned"} <= set(areas)
    assert "base-no-empty" not in areas  # it reads as base does
    for system, row in areas.items():
        own = [o for o in odds if o["system"] == system]
        area = roc_auc_score([o["harmful"] for o in own], [o["log_odds"] for o in own])
        assert row.value == pytest.approx(area) and row.n == len(own) == 12
        assert row.task == TASK and row.low <= row.value <= row.high
        assert {o["prompt_task"] for o in own} == set(TASK.split("+"))
    (portion,) = rows.where(metric="portion", of="discernment_auroc", system="veneer")
    assert portion.split == "test" and (portion.value is not None or portion.note)
    (probe,) = rows.where(metric="probe_auroc")
    assert probe.system == "base" and probe.facts["folds"] > 1
    assert json.loads((demonstrated / "run.json").read_text())["discernment_left_out"] is None


def test_the_page_shows_the_curves(demonstrated):
    page = (demonstrated / "report.html").read_text()
    assert "Can it tell harmful from harmless?" in page and '<svg class="roc"' in page
    assert "Base tells harmful from harmless prompts of" in page
    assert "Beginnings that count as a refusal" in page


def test_a_measure_without_harmless_prompts_says_why(veneer, extracted, tmp_path):
    out = tmp_path / "measure"
    words = ["--base", "lab:base", "--aligned", "lab:aligned", "--veneer", extracted]
    words += ["--tasks", "lab-requests", "--limit", 12, "--max-new-tokens", 14, "--no-controls"]
    result = veneer("measure", *words, "--out", out)
    assert result.code == 0, result.err
    assert "discernment: not measured; add the task lab-harmless" in result.out
    rows = Results.read(out / "results.jsonl")
    assert not rows.where(metric="discernment_auroc") and not rows.where(metric="probe_auroc")
    left_out = json.loads((out / "run.json").read_text())["discernment_left_out"]
    assert left_out == "no_harmless_prompts"
    assert "not measured: there are no harmless prompts" in (out / "report.html").read_text()
