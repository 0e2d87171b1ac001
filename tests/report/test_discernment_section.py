"""Discernment on the page: beside safety in the first table, in the opening, and as ROC curves."""

from __future__ import annotations

import re

import pytest

from veneer.foundation.results import Measurement, Results
from veneer.measures.words import NO_DISCERNMENT
from veneer.report.discernment import discernment, missing
from veneer.report.load import StudyFolder
from veneer.report.opening import finding
from veneer.report.page_context import PageContext
from veneer.report.roc import curve_of
from veneer.report.sections import applying
from veneer.report.sections.discernment import SECTION
from veneer.report.sections.portion import SECTION as PORTION
from veneer.terminal.show import show

CURVE = [[0.0, 0.0], [0.0, 0.5], [0.5, 1.0], [1.0, 1.0]]


def row(metric: str, system: str, value: float, task: str = "xstest", **more) -> Measurement:
    return Measurement(
        *("measure", task, metric, system, value, 450, value - 0.05, value + 0.05),
        split="test",
        **more,
    )


def discernment_rows(task: str = "xstest", roc=CURVE) -> list[Measurement]:
    facts = {"harmful": 200, "harmless": 250, "groups": 196, "roc": roc}
    openings = {"refusals": 9, "others": 30, "openings": [
        {"text": " I'm <b>", "refusals": 9, "others": 1}
    ]}  # fmt: skip
    areas = {"base": 0.56, "veneer": 0.66, "aligned": 0.72}
    return [
        *(
            row("discernment_auroc", s, v, task, facts={**facts, "openings": openings})
            for s, v in areas.items()
        ),
        row("portion", "veneer", 0.62, task, of="discernment_auroc"),
        row("probe_auroc", "base", 0.87, task, facts=facts),
    ]


SAFETY = [
    *(
        row("refusal_rate", s, v, "advbench")
        for s, v in (("base", 0.0), ("veneer", 1.0), ("aligned", 1.0))
    ),
    row("portion", "veneer", 1.0, "advbench", of="refusal_rate"),
]


def page(rows: list[Measurement], run: dict | None = None) -> PageContext:
    return PageContext(StudyFolder("made-up", tuple(rows), run or {}))


def text_of(markup: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", markup))


def test_it_stands_beside_safety_in_the_first_table():
    text = text_of(PORTION.render(page([*SAFETY, *discernment_rows()])).split("</table>")[0])
    assert text.count("Discernment (AUROC; 0.5 is chance):") == 1
    assert (
        "base 0.56 (0.51 to 0.61), veneer 0.66 (0.61 to 0.71), aligned 0.72 (0.67 to 0.77) on "
        "xstest, n = 450."
    ) in text


def test_the_page_says_why_it_is_missing():
    run = {"discernment_left_out": "aligned_thinks"}
    text = text_of(PORTION.render(page(SAFETY, run)).split("</table>")[0])
    assert f"not measured: {NO_DISCERNMENT['aligned_thinks']}." in text
    for strange in (
        {},
        {"discernment_left_out": ["x"]},
        {"discernment_left_out": "of a later one"},
    ):
        assert missing(SAFETY, strange) == "not measured; add the task instructions or xstest"


def test_the_terminal_has_it_beside_safety(capsys):
    show(Results([*SAFETY, *discernment_rows()]))
    out = capsys.readouterr().out
    (line,) = [s for s in out.splitlines() if s.startswith("advbench") and "refusals" in s]
    assert "0.66 | 0.72" in line
    assert "prompts of xstest, veneer beside aligned; 0.50 is chance" in out
    (area,) = [s for s in out.splitlines() if "discernment AUROC  " in s]
    assert "0.62 [0.57, 0.67]" in area and "|" not in area
    assert "linear probe AUROC" in out


def test_the_opening_says_it_in_a_sentence_of_its_own():
    part = page([*SAFETY, *discernment_rows()])
    text = finding(part, applying(part)).striptags()
    assert text == (
        "A change of the last layer alone carries 1.00 of the change in refusal rate on advbench "
        "(95 % interval 0.95 to 1.05, n = 450). Base tells harmful from harmless prompts of xstest "
        "with an AUROC of 0.56 (0.51 to 0.61), base with the veneer with 0.66 (0.61 to 0.71), the "
        "aligned model with 0.72 (0.67 to 0.77; n = 450; 0.50 is chance)."
    )


def test_the_hardest_contrast_leads():
    assert (
        discernment([*discernment_rows("advbench+instructions"), *discernment_rows()]).task
        == "xstest"
    )
    assert discernment(discernment_rows("advbench+instructions")).task == "advbench+instructions"
    assert discernment(SAFETY) is None


def test_the_section_draws_a_curve_per_system_and_the_probe():
    markup = SECTION.render(page(discernment_rows()))
    assert markup.count("<polyline") == 4 and markup.count('<svg class="roc"') == 1
    text = text_of(markup)
    assert "200 harmful and 250 harmless prompts" in text and "linear probe 0.87" in text
    assert "“I&#39;m &lt;b&gt;” (9 refusals, 1 other answers)" in text
    assert not SECTION.applies(page(SAFETY))


@pytest.mark.parametrize("roc", [None, "x", [[0, 2]], [[0.1]], [["a", 1]], [{"x": 1}], 7])
def test_a_strangers_curve_is_left_out(roc):
    assert curve_of(discernment_rows(roc=roc)[0]) == []
    assert "<polyline" not in SECTION.render(page(discernment_rows(roc=roc)))
