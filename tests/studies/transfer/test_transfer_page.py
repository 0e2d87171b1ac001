"""The section on transfer: its table, the charts over alpha and by position, in Python and in a
browser, with text of strangers."""

from __future__ import annotations

import json
import re

import pytest

from veneer.foundation.results import Measurement, Results
from veneer.foundation.system_id import SystemId
from veneer.report import write_report
from veneer.report.load import StudyFolder, load
from veneer.report.page_context import PageContext
from veneer.report.sections import all_sections
from veneer.report.systems import about, family
from veneer.studies.transfer.names import constant_alpha
from veneer.studies.transfer.order import first_headlines, order
from veneer.studies.transfer.page import SECTION, curves, leading, measured_tasks
from veneer.studies.transfer.sweep import drawn, sweep

HOSTILE = "<img src=x onerror=alert(1)>"
SHIFTED = ("shifted-0.5", "shifted-1", "shifted-1@10", "shifted-1.5>0.5@10")
SYSTEMS = ("base", *SHIFTED, "baked", "veneer", "aligned", "small-base", "small-aligned")
VALUE = dict(zip(SYSTEMS, (0.1, 0.4, 0.7, 0.6, 0.65, 0.68, 0.72, 0.9, 0.05, 0.8), strict=True))
KL = dict(zip(SYSTEMS[:7], (1.5, 0.6, 0.3, 0.9, 0.4, 0.32, 0.25), strict=True))


def measured(task: str, metric: str, **more) -> list[Measurement]:
    values = VALUE if metric == "accuracy" else dict.fromkeys(SYSTEMS, 0.02)
    return [
        Measurement(
            "measure",
            task,
            metric,
            s,
            v,
            50,
            max(0, v - 0.1),
            min(1, v + 0.1),
            split="test",
            unit="share",
            **more,
        )
        for s, v in values.items()
    ]


def distances(**more) -> list[Measurement]:
    return [
        Measurement(
            "transfer", "joint", "kl", s, v, 20, v - 0.1, v + 0.1, unit="nats/token", **more
        )
        for s, v in KL.items()
    ]


OUTSIDE = tuple(s for s in SYSTEMS if s not in ("base", "aligned"))
COSTS = {"base": 1.0, "shifted-1": 1.4, "baked": 1.0}
ROWS = [
    *(
        r
        for task in ("sums", HOSTILE)
        for metric in ("empty_rate", "accuracy")
        for r in measured(task, metric)
    ),
    *(
        Measurement(
            "measure", "sums", "portion", s, VALUE[s], 50, 0.1, 0.9, of="accuracy", split="test"
        )
        for s in OUTSIDE
    ),
    *distances(split="report"),
    *distances(split="select"),
    *(
        r
        for place in ((1, 1), (2, 2), (3, 10), (11, 20))
        for r in distances(split="report", position=place)
    ),
    Measurement(
        "transfer", "joint", "kl", "aligned", 1e-6, 16, 1e-7, 1e-5, split="noise", unit="nats/token"
    ),
    Measurement(
        "transfer",
        "joint",
        "early_kl_share",
        "base",
        0.8,
        20,
        0.7,
        0.9,
        split="report",
        position=(1, 10),
        unit="share",
    ),
    *(
        Measurement("transfer", "joint", "time_ratio", s, v, 5, v - 0.1, v + 0.1, split="timing")
        for s, v in COSTS.items()
    ),
    *(
        Measurement("transfer", "joint", "memory_ratio", s, v, 1, split="timing")
        for s, v in COSTS.items()
    ),
]
RUN = {
    "choice": {"system": "shifted-1", "rule": f"a rule of {HOSTILE}", "n": 20, "figures": {}},
    "fairness": [f"No train prompt was a test prompt {HOSTILE}", 3],
    "finished": True,
}


def folder(at, rows=ROWS, run=RUN):
    at.mkdir(parents=True, exist_ok=True)
    Results(rows).write(at / "results.jsonl")
    (at / "run.json").write_text(json.dumps(run))
    return at


@pytest.fixture(scope="module")
def study_folder(tmp_path_factory):
    return folder(tmp_path_factory.mktemp("transfer") / "study")


def test_headlines_are_what_portions_are_of_or_else_the_first_metric():
    assert first_headlines(ROWS) == {"sums": "accuracy", HOSTILE: "accuracy"}
    assert [
        t.portions is not None for t in measured_tasks(PageContext(StudyFolder("s", tuple(ROWS))))
    ] == [
        True,
        False,
    ]


def test_systems_stand_in_the_order_of_the_question():
    systems = {name: SystemId.from_name(name) for name in reversed(SYSTEMS)}
    assert order(systems) == [
        "base",
        *reversed(SHIFTED),
        "baked",
        "veneer",
        "aligned",
        "small-base",
        "small-aligned",
    ]
    assert [
        constant_alpha(SystemId.from_name(s))
        for s in ("base", "shifted-0.5", "shifted--1", "shifted-1@10", "baked")
    ] == [None, 0.5, -1.0, None, None]
    assert all(about(s) for s in SYSTEMS) and {family(s) for s in (*SHIFTED, "baked")} == {
        "variant"
    }


def test_a_sweep_has_base_at_0_constants_on_the_axis_and_the_rest_beside(study_folder):
    page = PageContext(load(study_folder))
    (group,) = [t.values for t in measured_tasks(page) if t.values.task == "sums"]
    chart = sweep(group, page.anchor)
    assert drawn(group) and chart.count("<a href") == len(SYSTEMS)
    axis = re.findall(r'text-anchor="middle">([^<]*)</text>', chart)
    assert axis == ["0 (base)", "0.5", "1", "constant alpha"]
    beside = re.findall(r'text-anchor="end">([^<]*)</text>', chart)
    assert beside == [
        "1@10",
        "1.5&gt;0.5@10",
        "baked",
        "veneer",
        "aligned",
        "small-base",
        "small-aligned",
    ]
    (points,) = re.findall(r'<polyline[^>]*points="([^"]*)"', chart)
    x, y = zip(*(map(float, p.split(",")) for p in points.split()), strict=True)
    assert x == (90, 305, 520) and y[0] > y[1] > y[2], "higher is up"


def test_what_cannot_be_drawn_is_not(study_folder):
    page = PageContext(load(study_folder))
    (group,) = page.of("transfer", metric="early_kl_share")
    assert not drawn(group)


def test_the_curves_show_the_chosen_kinds_and_the_table_has_all(study_folder):
    page = PageContext(load(study_folder))
    assert leading(page) == ["shifted-1", "shifted-1.5>0.5@10"]
    (chart,) = curves(page)
    assert set(chart.series) == {
        "base",
        "shifted-1",
        "shifted-1.5>0.5@10",
        "baked",
        "veneer",
        "aligned",
    }
    assert (
        len(chart.series["aligned"]) == 4
        and chart.floor == 1e-6
        and chart.early.position == (1, 10)
    )
    assert all(set(KL) <= set(g.systems) for g in chart.groups)


def test_section_leads_to_rows_and_says_what_was_chosen(study_folder, tmp_path):
    page = PageContext(load(study_folder))
    assert SECTION in all_sections() and SECTION.applies(page)
    text = SECTION.render(page)
    assert (
        "<img" not in text
        and "was chosen by a rule" in text
        and "No train prompt was a test prompt" in text
    )
    anchors = {page.anchor(r) for r in page.study.rows}
    assert set(re.findall(r'href="#([^"]+)"', text)) <= anchors
    other = PageContext(
        load(folder(tmp_path / "other", [r for r in ROWS if r.study == "measure"], {}))
    )
    assert not SECTION.applies(other)


def test_without_the_large_aligned_model_there_is_a_table_and_no_distance(tmp_path):
    """Only a timing: no choice, no KL, no portions."""
    rows = [
        r
        for r in ROWS
        if r.metric in ("accuracy", "time_ratio", "memory_ratio") and r.system != "aligned"
    ]
    page = PageContext(load(folder(tmp_path / "s", rows, {"choice": None, "fairness": None})))
    text = SECTION.render(page)
    assert (
        "was chosen" not in text
        and "Distance from the large aligned" not in text
        and "time" in text
        and "How much" in text
    )


@pytest.mark.parametrize("dark", [False, True])
def test_in_a_browser(browser, study_folder, tmp_path, dark):
    """Quiet, nothing wider than the window on a wide and a narrow screen, labels of the sweep apart
    from each other."""
    path = tmp_path / "report.html"
    write_report([study_folder], path)
    browser.troubles.clear()
    for width in (1280, 390):
        browser.window(width, 900, dark=dark)
        browser.open(path)
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert browser.run("document.querySelectorAll('#s1-transfer .sweep').length") == 2
        assert browser.run(
            "document.querySelectorAll('#s1-transfer table.systems tbody tr').length"
        ) == len(SYSTEMS)
        apart = """[...document.querySelectorAll('#s1-transfer .sweep')].every((chart) => {
            const boxes = [...chart.querySelectorAll('text.tick[text-anchor=middle]')].map((t) => \
t.getBoundingClientRect());
            return boxes.every((a, i) => boxes.every((b, j) => i === j || a.right <= b.left || \
b.right <= a.left)); })"""
        assert browser.run(apart) is True
        assert browser.run("document.querySelectorAll('#s1-transfer img').length") == 0
    ink = browser.run(
        "getComputedStyle(document.querySelector('#s1-transfer .sweep .ring')).stroke"
    )
    assert ink == ("rgb(242, 152, 92)" if dark else "rgb(184, 74, 0)"), (
        "base's colour follows the scheme"
    )
    assert browser.troubles == [] and browser.run("document.documentElement.dataset.errors") == "0"
