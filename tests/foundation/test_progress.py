"""Who decides whether progress is shown, and how it is shown without a terminal."""

from __future__ import annotations

from contextlib import nullcontext

from veneer.foundation import progress
from veneer.foundation.progress import shown


def test_nothing_is_shown_outside_a_notebook_unless_asked(capsys):
    with shown(None) as report:
        assert report is None
    with shown(True) as report:
        report(1, 2, "work")
        report(2, 2, "work")
    assert capsys.readouterr().err.splitlines()[-1] == "work: 2 of 2"


def test_a_function_of_ones_own_is_called():
    seen = []
    with shown(lambda *words: seen.append(words)) as report:
        report(1, 2, "work")
    assert seen == [(1, 2, "work")]


def test_the_outermost_function_decides_in_a_notebook(monkeypatch):
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    monkeypatch.setattr(progress, "progress_line", lambda: nullcontext(print))
    with shown(None) as outer, shown(None) as inner:
        assert outer is not None and inner is None
    with shown(False) as outer, shown(None) as inner:
        assert outer is None and inner is None
    with shown(None) as again:
        assert again is not None


def test_a_notebooks_bars_are_one_output_with_escaped_text():
    bars = progress._Bars()
    bars.put(1, 4, "answers of <b>")
    bars.put(7, 0, "extract: held-out 0.5")
    bars.put(9, 0, "extract: held-out 0.4")
    shown_as = bars._repr_html_()
    assert shown_as.count("<progress") == 2 and 'value="1" max="4"' in shown_as
    assert "&lt;b&gt;" in shown_as and "0.5" not in shown_as
    assert repr(bars).splitlines()[0].startswith("answers of <b>: 1 of 4 (")
