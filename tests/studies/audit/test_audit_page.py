"""The audit's section: text of models and of run.json stays text, and a folder without a verdict
still has a page."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from veneer.foundation.results import Measurement, Results
from veneer.report import write_report
from veneer.report.load import load
from veneer.report.page_context import PageContext
from veneer.report.render import render
from veneer.studies.audit.evidence import MOVED, YES, AuditVerdict
from veneer.studies.audit.names import TOP
from veneer.studies.audit.opening import next_step
from veneer.studies.audit.page import SECTION, curves, layers, models, patched, verdict

EVIL = "<script>alert(1)</script>"


def row(task, metric, system, value, **words):
    return Measurement(
        "audit",
        task,
        metric,
        system,
        value,
        words.pop("n", 8),
        words.pop("low", None),
        words.pop("high", None),
        **words,
    )


@pytest.fixture
def folder(tmp_path):
    rows = [
        row("harmful", "refusal_rate", "reference", 1.0, low=0.7, high=1.0, judge="j"),
        row(
            "harmful",
            "common_opening",
            "audited",
            1.0,
            low=0.7,
            high=1.0,
            note=f'begins with "{EVIL}" (its first 4 tokens)',
        ),
        row(
            "harmful",
            "kl",
            "audited",
            2.0,
            low=1.0,
            high=3.0,
            split="reference's answers",
            position=(1, 1),
        ),
        row(
            "harmful",
            "kl",
            "audited",
            1.0,
            low=0.5,
            high=1.5,
            split="audited's answers",
            position=(1, 1),
        ),
        row("all", "kl", "audited", 2.0, low=1.0, high=3.0, split="reference's answers"),
        row(
            "all",
            "kl",
            "only-head",
            None,
            split="reference's answers",
            note="one model's head does not fit",
        ),
        row("weights: layer 0 attention", "weight_change", "audited", 0.1, n=0),
        row(
            "weights: layer 0 attention",
            "effective_rank",
            "audited",
            3.0,
            n=0,
            note="of 32; singular values",
        ),
        row("weights: layer 1 MLP", "weight_change", "audited", 0.0, n=0),
        row(
            "all",
            "kl",
            "top-1",
            1.0,
            split="patched",
            note="the reference's layer 0 in the audited model; 8 prompts",
        ),
        row("all", "kl_recovered", "top-1", 0.5, low=0.4, high=0.6, split="patched"),
    ]
    Results(rows).write(tmp_path / "results.jsonl")
    run = {
        "config": {"reference": "a", "audited": EVIL},
        "verdict": {"headline": EVIL, "sentences": [EVIL, 3]},
        "finished": True,
    }
    (tmp_path / "run.json").write_text(json.dumps(run))
    return tmp_path


def test_what_the_section_reads(folder):
    page = PageContext(load(folder))
    assert (
        SECTION.applies(page)
        and models(page)
        == [("reference", "A, the reference", "a"), ("audited", "C, the audited model", EVIL)]
        and verdict(page)["sentences"] == [EVIL]
    )
    assert [(c.task, list(c.series)) for c in curves(page)] == [
        ("harmful", ["on reference's answers", "on audited's answers"])
    ]
    assert layers(page).layers == [0, 1] and layers(page).kinds == ["attention", "MLP"]
    assert [(which, end) for which, end, _ in patched(page)] == [("layer 0", TOP)]


def test_one_wide_interval_leaves_the_other_marks_readable(folder):
    words = {"low": 0.1, "split": "reference's answers"}
    wide = [
        row("harmful", "kl", system, 0.5, high=high, **words)
        for system, high in (("audited", 500.0), ("only-head", 1.0))
    ]
    Results([*Results.read(folder / "results.jsonl"), *wide]).write(folder / "results.jsonl")
    page = render([folder])
    assert 'x="33.373%"' in page  # 2.0 on a scale that ends at three times the largest value
    assert "to 500" in page


def test_strange_text_stays_text(folder):
    page = render([folder])
    assert (
        "<script>alert" not in page
        and "How far has a fine-tuned model" in page
        and "effective rank 3 of 32" in page
    )
    assert "one model&#39;s head does not fit" in page


@pytest.mark.parametrize(
    "run",
    ["{}", '{"verdict": 3, "config": []}', '{"verdict": {"headline": null, "sentences": "no"}}'],
)
def test_a_record_that_says_nothing(folder, run):
    (folder / "run.json").write_text(run)
    assert "No verdict is recorded" in render([folder])


def test_no_command_restores_refusals_that_were_not_lost():
    verdict = AuditVerdict(MOVED, restorable=YES).facts()
    run = {"config": {"reference": "A", "audited": "C"}, "verdict": verdict}

    def rows(low, high):
        return Results(
            [
                Measurement(
                    *("audit", "harmful", "difference_from_reference", "audited"),
                    (low + high) / 2,
                    6,
                    low,
                    high,
                )
            ]
        )

    assert next_step(run, rows(-1.0, -0.3)).startswith("veneer restore --aligned A")
    assert next_step(run, rows(0.3, 1.0)) == next_step(run, rows(-0.4, 0.1)) == ""


def test_on_a_telephone_charts_have_room_and_numbers_keep_apart(folder, browser, tmp_path):
    """The column of names took 210 px of 345, and the chart was left with 7."""
    rows = [
        row("all", "kl", system, value, low=value, high=value, split="reference's answers")
        for system, value in (("only-head", 0.1), ("only-layers", 0.3), ("audited", 0.44))
    ]
    rows += [
        row(f"weights: layer {i} MLP", "weight_change", "audited", 0.08, n=0) for i in range(3)
    ]
    rows.append(row("all", "kl_recovered", "top-1", 0.5, low=0.4, high=0.6, split="patched"))
    Results(rows).write(folder / "results.jsonl")
    path = tmp_path / "narrow.html"
    write_report([folder], path)
    browser.window(375, 800)
    browser.open(path)
    lanes = "[...document.querySelectorAll('#s1-audit .dots .plot > svg')]"
    widths = browser.run(f"{lanes}.map((s) => s.getBoundingClientRect().width)")
    assert widths and min(widths) > 100
    boxes = "[...{}.querySelectorAll('{}')].map((t) => t.getBoundingClientRect().toJSON())"
    for axis in range(browser.run("document.querySelectorAll('#s1-audit .axis').length")):
        chart = f"document.querySelectorAll('#s1-audit .axis')[{axis}]"
        numbers = browser.run(boxes.format(chart, "text:not(.axis-name)"))
        assert len(numbers) > 1
        assert all(a["right"] < b["left"] for a, b in pairwise(numbers))
    bars = "document.querySelector('#s1-audit .bar-MLP').closest('svg')"
    ticks = browser.run(boxes.format(bars, "text.tick:not([text-anchor])"))
    first = browser.run(f"{bars}.querySelector('.bar-MLP').getBoundingClientRect().left")
    assert max(t["right"] for t in ticks) <= first
