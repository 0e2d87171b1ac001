"""The classes of errors can be told apart in one bar, and no figure in it is cut."""

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


def test_a_figure_without_room_is_left_out_of_its_bar(browser, tmp_path):
    """0.17 that is cut to 0.1 is a wrong figure."""
    css = (Path(curve.__file__).parent / "page.css").read_text("utf-8")
    bars = "".join(
        f'<a style="flex-grow:{share}"><span>{share}</span></a>' for share in ("0.12", "0.88")
    )
    path = tmp_path / "bar.html"
    path.write_text(
        f'<html data-ready="1"><style>{css}</style><div style="width:{{}}px">'
        f'<span class="curve-stack">{bars}</span></div></html>'.replace("{}", "120")
    )
    browser.window(375, 800)
    browser.open(path)
    lines = browser.run(
        "[...document.querySelectorAll('.curve-stack a')].map((a) => a.querySelector('span')"
        ".getBoundingClientRect().top - a.getBoundingClientRect().bottom)"
    )
    assert lines[0] >= 0 > lines[1], "below the bar, where it is hidden; and in the bar"
