"""Who decides whether progress is shown, and how it is shown without a terminal."""

from __future__ import annotations

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
    with shown(None) as outer, shown(None) as inner:
        assert outer is not None and inner is None
    with shown(False) as outer, shown(None) as inner:
        assert outer is None and inner is None
    with shown(None) as again:
        assert again is not None
