"""The page shows how accurate a judge is, and how many answers are as likely as the aligned
model's own."""

from __future__ import annotations

import re

from veneer.foundation.results import Measurement
from veneer.judges.refusal.rates import RefusalRates
from veneer.report.load import StudyFolder
from veneer.report.page_context import PageContext
from veneer.report.sections.behaviour import SECTION as BEHAVIOUR
from veneer.report.sections.portion import SECTION as PORTION


def page(section, judge):
    rows = [
        Measurement("measure", "advbench", "refusal_rate", s, v, 50, v / 2, v, judge, split="test")
        for s, v in (("base", 0.1), ("veneer", 0.8), ("aligned", 0.9))
    ]
    rows += [
        Measurement("measure", "advbench", "well_formed", s, v, 50, v / 2, v, "l", split="test")
        for s, v in (("base", 0.02), ("veneer", 0.84), ("aligned", 0.98))
    ]
    rows.append(
        Measurement("measure", "advbench", "portion", "veneer", 0.88, 50, 0.8, 0.9, judge,
                    of="refusal_rate", split="test")
    )  # fmt: skip
    return re.sub(
        r"<[^>]+>", "", str(section.render(PageContext(StudyFolder("made-up", tuple(rows)))))
    )


def test_a_judges_accuracy_stands_below_its_figures():
    text = page(BEHAVIOUR, RefusalRates().id)
    assert re.search(
        r"0.50 is a coin\) on people's labels: 0\.\d\d \(0\.\d\d to 0\.\d\d\) on", text
    )
    other = page(BEHAVIOUR, "refusal-v0")
    assert "Balanced accuracy" not in other and "no accuracy is recorded for it" in other


def test_likely_answers_stand_beside_the_portion():
    text = page(PORTION, RefusalRates().id)
    assert re.search(
        r"as likely as the aligned model's own: base 0\.02 .*veneer 0\.84 .*n = 50", text
    )
