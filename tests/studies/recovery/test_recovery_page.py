"""The report's section: scale, margin, verdicts, oracle marks, and text of strangers."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from veneer.foundation.results import Results
from veneer.report.load import load
from veneer.report.page_context import PageContext
from veneer.report.render import render
from veneer.studies.recovery.compare import Entry, compare
from veneer.studies.recovery.page import SECTION, band, dropped, recovered
from veneer.studies.recovery.rows import answer_rows, example_rows, rows
from veneer.studies.recovery.similarity import Lexical

rng = np.random.default_rng(1)


def texts(shared: float, samples: int) -> list[list[str]]:
    return [
        [
            " ".join(
                f"w{p}-{j}" if rng.random() < shared else f"x{rng.integers(10**9)}"
                for j in range(30)
            )
            for _ in range(samples)
        ]
        for p in range(20)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("recovery")
    near = "<script>alert(1)</script>"
    entries = [
        Entry("base", texts(0.1, 4)),
        Entry(near, texts(0.9, 4)),
        Entry("knn-response-3", texts(0.5, 4), oracle="teacher-answer"),
        Entry("few", [t if i < 2 else [] for i, t in enumerate(texts(0.5, 4))]),
    ]
    teacher = [
        [" ".join(f"w{p}-{j}" for j in range(30)), *more] for p, more in enumerate(texts(0.9, 3))
    ]
    c = compare(Lexical(), teacher, entries)
    measurements = [
        *rows(c, entries, teacher="aligned", task="t"),
        *answer_rows(entries, task="t", expected=4),
    ]
    measurements += example_rows(
        {"knn-response-3": ([2] * 20, [1] * 20)},
        {"knn-response-3": "teacher-answer"},
        task="t",
    )
    Results(measurements).write(out / "results.jsonl")
    (out / "run.json").write_text(
        json.dumps({"scale": {"zero": "base", "margin_share": 0.1}, "finished": True})
    )
    return out


def test_the_lead_names_the_highest_system_that_saw_no_test_answer(folder):
    lead = SECTION.finding(PageContext(load(folder)))
    assert lead.startswith("&lt;script&gt;") and "n = 20) by lexical similarity" in lead
    assert lead.endswith("The test of equivalence with the ceiling says: equivalent.")
    assert "not determined" not in lead


def test_the_lead_says_where_no_system_is_shown_to_come_nearer(folder, tmp_path):
    near_base = [
        replace(r, value=0.1, low=-0.2, high=0.3) if r.metric == "portion" else r
        for r in Results.read(folder / "results.jsonl")
    ]
    Results(near_base).write(tmp_path / "results.jsonl")
    lead = SECTION.finding(PageContext(load(tmp_path)))
    assert lead.startswith(
        "Whether any system comes nearer to the ceiling than base is not determined. "
    )


def test_charts_have_lines_verdicts_and_ends(folder):
    page = PageContext(load(folder))
    charts = recovered(page)
    assert [(c.group.of, c.ceiling) for c in charts] == [
        ("lexical_similarity", "aligned"),
        ("lexical_best", "aligned"),
    ]
    first = {line.row.system: line for line in charts[0].lines}
    assert first["<script>alert(1)</script>"].word == "equivalent" and not first[
        "few"
    ].why.startswith("aligned")
    assert (
        first["knn-response-3"].verdict == "different (below the ceiling)"
        and first["knn-response-3"].oracle
    )
    assert (
        first["few"].row.value is None
        and "2 prompts have all" in first["few"].why
        and first["few"].word == "undecided"
    )
    assert charts[0].zero.system == "base" and charts[0].one.system == "aligned"
    assert charts[0].counts() == [("equivalent", 1), ("different", 1), ("undecided", 1)]
    assert band(page) == (0.9, 1.1) and dropped(page)[0][1].startswith(
        "20 examples dropped on 20 of 20 prompts"
    )


def test_page_shows_the_section_and_no_strange_markup(folder):
    page = render([folder])
    assert (
        'id="s1-recovery"' in page
        and "margin: 10 % of the distance" in page
        and 'class="oracle">oracle' in page
    )
    assert "<script>alert" not in page and "knn-response-3, 20 examples dropped" in page


def test_an_absolute_margin_has_no_band(folder, tmp_path):
    (tmp_path / "results.jsonl").write_bytes((folder / "results.jsonl").read_bytes())
    (tmp_path / "run.json").write_text(
        json.dumps({"scale": {"zero": "base", "margin_share": None}})
    )
    assert band(PageContext(load(tmp_path))) is None and 'class="band-key"' not in render(
        [tmp_path]
    )
