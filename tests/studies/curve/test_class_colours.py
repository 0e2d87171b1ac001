"""The classes of errors can be told apart in one bar."""

from __future__ import annotations

import re
from pathlib import Path

from veneer.studies import curve
from veneer.studies.curve.classes import CLASSES

BLUES = {"style", "variant", "veneer"}  # base.css: three blues that no eye tells apart


def test_each_class_has_a_colour_of_its_own():
    css = (Path(curve.__file__).parent / "page.css").read_text("utf-8")
    colours = dict(re.findall(r"\.class-(\w+) \{ --c: var\(--(\w+)\)", css))
    assert set(colours) == set(CLASSES)
    assert len(set(colours.values())) == len(CLASSES)
    assert len(BLUES & set(colours.values())) == 1
