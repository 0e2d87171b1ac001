"""Controls that would squash a chart's scale are hidden at first, and every system has a mark of
its own."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from markupsafe import Markup

from veneer.foundation.results import Measurement, Results
from veneer.report import render
from veneer.report.marks import SHAPES, line_classes, linear_top, mark, squashing
from veneer.report.sections import portion
from veneer.report.systems import KINDS, shape
from veneer.report.tables import groups
from veneer.report.words import (
    digits_of,
    figure,
    in_plain_text,
    minus_signs,
    name,
    verdicts_of_answer,
)

RESTORED = ("compromised", "head", "shifted", "own", "own-responses", "urial", "aligned")


def kl(system: str, value: float, position=(1, 1)) -> Measurement:
    more = {"unit": "nats/token", "split": "report", "position": position}
    return Measurement("position", "joint", "kl", system, value, 9, value / 2, value, **more)


def share(metric: str, system: str, value: float | None, note: str | None = None) -> Measurement:
    low, high = (None, None) if value is None else (value - 0.1, value + 0.1)
    return Measurement(
        "measure", "sums", "portion", system, value, 9, low, high, of=metric, note=note
    )


def test_only_controls_that_squash_the_scale_are_hidden(tmp_path):
    rows = [kl("base", 2.0), kl("veneer", 0.1), kl("aligned-plain", 1.0), kl("base-chat", 9.0)]
    assert squashing({r.system: [r] for r in rows}) == ["base-chat"]
    assert squashing({r.system: [r] for r in rows[:3]}) == []
    Results([*rows, *(kl(r.system, r.value, (2, 2)) for r in rows)]).write(
        tmp_path / "results.jsonl"
    )
    page = render([tmp_path])
    narrow, wide = re.findall(r'<div class="lin" data-scale="\w+".*?</div>', page, re.S)
    assert 'data-series="base-chat"' not in narrow and 'data-series="base-chat"' in wide
    assert "hidden>" in wide[:50] and "Hidden at first" in page
    assert '<span class="' in page and 'data-series="base-chat" data-off' in page
    # the same line has the same colour on both scales
    style = re.compile(r'<polyline class="([^"]*)" data-series="aligned-plain"')
    assert style.search(narrow)[1] == style.search(wide)[1]


def test_marks_of_one_page_differ():
    for page in (RESTORED, ("reference", "audited", "audited-veneer", "only-head", "only-layers")):
        drawn = [str(mark(system, "0%", 0, 5)) for system in page]
        assert len(set(drawn)) == len(drawn)
    assert all(shape(kind) in {*SHAPES, "disc", "ring", "small ring"} for kind in KINDS)


def test_metrics_of_a_task_that_read_the_same_share_a_line(page_of):
    rows = [
        *(share(m, "veneer", 0.5) for m in ("accuracy", "accuracy_strict")),
        *(share(m, "veneer", None, "no difference") for m in ("rouge", "bleu")),
        share("other", "veneer", 0.7),
    ]
    part = page_of("run", rows)
    drawn = portion.lines(part, groups(rows))
    assert [str(line.names) for line in drawn] == [
        "accuracy and accuracy strict",
        "rouge and bleu",
        "other",
    ]
    two = [*rows[:2], share("accuracy", "shuffled", 0.3)]
    apart = portion.lines(page_of("apart", two), groups(two))
    assert "accuracy:" in apart[0].verdict and "accuracy strict:" in apart[0].verdict


@pytest.fixture
def page_of(tmp_path):
    from veneer.report.load import load
    from veneer.report.page_context import PageContext

    def make(name: str, rows):
        (tmp_path / name).mkdir()
        Results(rows).write(tmp_path / name / "results.jsonl")
        return PageContext(load(tmp_path / name))

    return make


def test_a_table_may_merge_rows_that_read_the_same(page_of):
    rows = [share(m, s, 0.5) for m in ("same", "alike") for s in ("base", "veneer")]
    rows = [replace(r, metric=r.of, of=None) for r in rows]
    part = page_of("merged", rows)
    assert part.pivot(part.groups, "c").count("<tr>") == 3
    merged = part.pivot(part.groups, "c", merged=True)
    assert merged.count("<tr>") == 2 and "<td>same; alike</td>" in merged


def test_a_score_of_one_answer_in_words():
    scores = {
        "unsafe_refusal_rate": None,
        "over_refusal_rate": 1.0,
        "harm_rate": None,
        "rouge1": 0.25,
    }
    assert verdicts_of_answer(scores) == [
        ("refused", 1),
        ("harm rate: no verdict", 0),
        ("rouge1 0.25", 1),
    ]


def test_a_power_of_ten_stands_only_where_digits_are_many():
    assert figure(0.0018, 2) == figure(-0.0018, 2) == "0.00" and figure(0.0002) == "2.0e−4"


def test_a_minus_sign_on_the_page_is_a_hyphen_in_the_terminal():
    sentence = 'it fell by -0.45 (-.5 to +0.1), [-1, 2], of lora-4 and 2026-1; C says "-1"'
    shown = 'it fell by −0.45 (−.5 to +0.1), [−1, 2], of lora-4 and 2026-1; C says "-1"'
    assert minus_signs(sentence) == shown
    assert in_plain_text(Markup("<b>lora-4</b> fell by <i>−0.45</i>")) == "lora-4 fell by -0.45"


def test_two_lines_of_one_family_differ_in_more_than_their_marks():
    lines = line_classes({s: [kl(s, 1.0)] for s in ("base", "compromised", "veneer", "aligned")})
    assert [" alt" in lines[s] for s in lines] == [False, True, False, False]
    assert " alt" not in line_classes({"compromised": [kl("compromised", 1.0)]})["compromised"]


def test_one_long_interval_does_not_flatten_the_lines():
    usual = {"base": [replace(kl("base", 2.0), high=5.0)]}
    assert linear_top(usual) == (5.0, False)
    assert linear_top({**usual, "veneer": [replace(kl("veneer", 1.0), high=3000.0)]}) == (6.0, True)
    assert linear_top({"base": [kl("base", 0.0)]}) == (0.0, False)


def test_a_share_has_no_more_digits_than_its_interval_supports():
    row = replace(share("accuracy", "veneer", 0.125), low=0.055, high=0.261)
    assert [digits_of(r) for r in (row, replace(row, low=0.12, high=0.13))] == [2, 3]
    assert digits_of(kl("base", 1.0)) == 3 and digits_of(replace(row, low=None)) == 3


def test_an_abbreviation_keeps_its_capitals():
    assert name("kl_recovered") == "KL recovered" and name("discernment_auroc") == (
        "discernment AUROC"
    )
