"""The section of the diversity study: what it draws, where its figures lead, and that hostile
names stay text."""

from __future__ import annotations

import re

from veneer.foundation.results import Measurement
from veneer.report.charts import Scale, nice_ticks
from veneer.report.page_context import PageContext
from veneer.report.sections import all_sections
from veneer.studies.diversity.page import SECTION, decompositions, filter_lines, step


def row(metric, value, system="base", **more):
    low, high = (None, None) if value is None else (value - 0.1, value + 0.1)
    return Measurement("diversity", "t", metric, system, value, 9, low, high, **more)


ROWS = [
    *(
        row("lexical_diversity", v, s)
        for s, v in (("base", 0.9), ("veneer", 0.8), ("aligned", 0.6), ("<b>x</b>", 0.7))
    ),
    *(
        row(f"decomposition_{t}", v, of="lexical_diversity", split=split, judge="j")
        for split in ("all answers", "helpfulness>=4")
        for t, v in (
            ("drop", 0.3),
            ("quality_control", 0.1),
            ("aggregation", 0.15),
            ("rest", 0.05),
            ("united", 2.5),
        )
    ),
    *(
        row(metric, v, s, split=f"helpfulness>={t}", judge=f"judge of {s}")
        for s in ("base", "aligned")
        for t in (2, 4)
        for metric, v in (
            ("lexical_diversity", 0.5),
            ("lexical_diversity_unfiltered", 0.6),
            ("kept", 0.4),
        )
    ),
    *(
        row("lexical_coverage", 0.5, split=split)
        for split in (None, "matched", "other_prompt", "base")
    ),
    row("lexical_diversity_matched", None, note="no prompt has two answers"),
    row("stance_entropy", 0.3, unit="bits"),
    row("novelty", 2.0, split="against aligned"),
]

OTHER = [Measurement("measure", "t", "m", "base", 1, 1)]


def part(tmp_path, rows=ROWS):
    (tmp_path / "s").mkdir(exist_ok=True)
    from veneer.foundation.results import Results
    from veneer.report.load import load

    Results(rows).write(tmp_path / "s" / "results.jsonl")
    return PageContext(load(tmp_path / "s"))


def test_terms_begin_where_the_others_end(tmp_path):
    steps = decompositions(part(tmp_path))
    assert [s.split for s in steps] == ["helpfulness>=4", "all answers"]
    assert [(t, round(start, 6)) for t, _, start in steps[0].terms] == [
        ("quality_control", 0),
        ("aggregation", 0.1),
        ("rest", 0.25),
    ]
    scale = steps[0].scale
    assert scale.low < 0 and scale.high > 0.4, "holds every whisker"
    drawn = step("rest", steps[0].terms[2][1], 0.25, Scale(0, 1))
    assert (
        'class="step step-rest" x="26.0%" width="4.8' in drawn
        and "rest: 0.05, 95 % interval −0.05 to 0.15" in drawn
    )


def test_every_threshold_of_every_system(tmp_path):
    """Systems have judges of their own; that must not hide any."""
    panels = filter_lines(part(tmp_path))
    assert [(f["system"], [x["split"] for x in f["lines"]]) for f in panels] == [
        (s, ["helpfulness>=2", "helpfulness>=4"]) for s in ("base", "aligned")
    ]


def test_section(tmp_path):
    context = part(tmp_path)
    assert (
        SECTION in all_sections()
        and SECTION.applies(context)
        and not SECTION.applies(part(tmp_path, OTHER))
    )
    context = part(tmp_path)
    page = SECTION.render(context)
    assert "<b>x" not in page and "quality control" in page and "own other answers" in page
    anchors = {context.anchor(r) for r in context.study.rows}
    assert set(re.findall(r'href="#([^"]+)"', page)) <= anchors


def test_the_lead_says_which_diversity_drops(tmp_path):
    lead = SECTION.finding(part(tmp_path))
    assert lead.striptags() == (
        "Lexical diversity drops from base to aligned by 0.30 (0.20 to 0.40, n = 9 prompts)."
    )
    kinds = ("lexical_diversity", "semantic_diversity")
    rows = [row("decomposition_drop", 0.05, split="all answers", of=kind) for kind in kinds]
    assert SECTION.finding(part(tmp_path, rows)) == (
        "Lexical diversity and semantic diversity: whether diversity drops from base to aligned is "
        "not determined: the drop has an interval that holds 0."
    )
    assert SECTION.finding(part(tmp_path, OTHER)) is None


def test_an_axis_has_ticks_on_both_sides_of_0():
    assert nice_ticks(0.53, 4, -0.62) == [-0.5, 0.0, 0.5, 1.0]
    assert nice_ticks(0.0, 4, -0.62) == [-0.6, -0.4, -0.2, 0.0]
    assert nice_ticks(0.53, 4) == [0.0, 0.2, 0.4, 0.6] and nice_ticks(0.0) == [0.0, 1.0]
