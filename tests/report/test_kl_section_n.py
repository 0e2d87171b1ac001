"""The distance of a task stands beside its number of prompts, and says what a capture lumps."""

from __future__ import annotations

import re

from veneer.foundation.results import Measurement
from veneer.report.load import StudyFolder
from veneer.report.page_context import PageContext
from veneer.report.sections.kl import SECTION


def test_each_task_has_its_n():
    rows = [
        Measurement("extract", task, metric, system, 0.5, n, 0.1, 0.9, split="report")
        for task, n in (("joint", 6), ("svamp", 2))
        for metric, system in (("kl", "base"), ("kl", "veneer"), ("kl_recovered", "veneer"))
    ]
    page = str(SECTION.render(PageContext(StudyFolder("run", tuple(rows), {}))))
    text = re.sub(r"<[^>]*>|&nbsp;", " ", page)
    assert re.search(r"all tasks\s+n = 6", text) and re.search(r"svamp\s+n = 2", text)
    assert "each KL is a lower bound" in text
