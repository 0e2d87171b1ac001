"""What a notebook shows of objects: escaped, short, portions first."""

from __future__ import annotations

from veneer.foundation.display import html_facts, html_table, line
from veneer.foundation.results import Measurement, Results
from veneer.foundation.table import Table

HOSTILE = "<script>alert(1)</script>\u202eabc"


def test_untrusted_text_is_escaped_and_spelled_out():
    for html in (
        html_table(["a"], [[HOSTILE]], HOSTILE),
        html_facts(HOSTILE, {HOSTILE: HOSTILE}),
        Table("t", {"text": "text"}, [{"text": HOSTILE}])._repr_html_(),
        Results([Measurement("s", HOSTILE, "kl", HOSTILE, 0.5, 3)])._repr_html_(),
    ):
        assert "<script" not in html and "\u202e" not in html
        assert "&lt;script&gt;" in html and "⟨U+202E⟩" in html


def test_long_tables_and_texts_are_cut_with_a_note():
    html = html_table(["n"], [[n] for n in range(100)])
    assert html.count("<tr>") == 31 and "and 70 more rows" in html
    assert len(html_table(["text"], [["x" * 10_000]])) < 1000


def test_results_show_portions_first_and_no_positions():
    rows = [
        Measurement("extract", "joint", "kl", "base", 1.25, 9, 1.0, 1.5, position=(1, 1)),
        Measurement("extract", "joint", "kl", "base", 1.25, 9, 1.0, 1.5),
        Measurement("measure", "sums", "portion", "veneer", 0.5, 9, 0.25, 0.75, of="accuracy"),
    ]
    html = Results(rows)._repr_html_()
    assert "3 measurements, 1 of them by position" in html
    assert html.index("portion") < html.index("1.25") and "[0.25, 0.75]" in html


def test_a_line_of_facts_has_no_line_feeds():
    assert line("System", {"name": "a", "reads": "Q:\nA:", "head": None}) == (
        "<System: name: a, reads: Q: A:>"
    )
