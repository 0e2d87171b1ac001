"""Captions and legends that can be read on a phone, and that show the line that is drawn."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import veneer

SOURCE = Path(veneer.__file__).parent
TEMPLATES = sorted(SOURCE.rglob("*.html.j2"))
ASSETS = SOURCE / "report" / "assets"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_a_caption_stays_in_the_window_while_its_table_scrolls(template):
    """base.css holds `.scroll caption span` in place; a bare caption is as wide as its table."""
    captions = re.findall(r"<caption>(.*?)</caption>", template.read_text("utf-8"), re.DOTALL)
    assert all(c.startswith("<span>") and c.endswith("</span>") for c in captions)


@pytest.mark.parametrize(
    ("kind", "style"), [("sys-aligned", "dashed"), ("alt0", "dotted"), ('[class*="alt"]', "dashed")]
)
def test_a_legend_shows_the_dashes_of_its_line(kind, style):
    """A legend's stroke is a border: `stroke-dasharray` does nothing to it."""
    css = (ASSETS / "sections.css").read_text("utf-8")
    selector = kind if kind.startswith("[") else f".{kind}"
    rules = re.findall(rf"{re.escape(selector)} > \.stroke[^{{]*\{{([^}}]*)\}}", css)
    assert any(f"border-top-style: {style}" in rule for rule in rules)
