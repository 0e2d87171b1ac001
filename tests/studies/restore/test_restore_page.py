"""The page on a restoration: verdicts first, every setting on the charts, and labels that do not
lie over each other."""

from __future__ import annotations

import html
import json
import shlex
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veneer.foundation.results import Measurement, Results
from veneer.report import render, write_report
from veneer.report.load import load
from veneer.report.page_context import PageContext
from veneer.studies.restore import words
from veneer.studies.restore.folders_0_1 import facts_of_0_1
from veneer.studies.restore.page import SECTION, curves, verdict_lines
from veneer.studies.restore.trade_off import Curve, Point, draw, labels

SETTINGS = {
    "own-0.5": (0.3, 0.0, 0.9),
    "own-1": (1.0, 0.1, 0.9),
    "own-3": (1.0, 0.8, 0.4),
    "own-1-rank-4": (1.0, 0.1, 0.8),
}


def rows(word: str = "restored"):
    """As Veneer 0.1 wrote them: without facts."""

    def row(metric, system, value, **more):
        words = {
            "n": 30,
            "low": max(0.0, value - 0.1),
            "high": min(1.0, value + 0.1),
            "split": "validation",
            **more,
        }
        return Measurement("restore", "lab", metric, system, value, **words)

    for system, three in {
        "compromised": (0.0, 0.0, 0.9),
        "aligned": (1.0, 0.1, 0.9),
        **SETTINGS,
    }.items():
        for metric, value in zip(
            ("refusal_rate", "over_refusal_rate", "accuracy"), three, strict=True
        ):
            yield row(metric, system, value)
        if system in SETTINGS:
            yield row("loss", system, 0.5, of="own")
    yield row("chosen", "own", 1.0, note="own-1: the least loss", low=None, high=None)
    yield row(
        "restored",
        "own",
        1.0,
        split="test",
        note=f"{word} – refuses harmful 1.00 <b>",
        low=None,
        high=None,
    )
    yield row(
        "restored",
        "urial",
        0.0,
        split="test",
        note="not restored: harm did not fall <script>alert(1)</script> – x",
        low=None,
        high=None,
    )
    yield row("difference_from_compromised", "own", 1.0, split="test", of="refusal_rate")
    yield row("difference_from_aligned", "own", 0.0, split="test", of="over_refusal_rate")
    yield row("difference_from_compromised", "own", 0.0, split="test", of="accuracy")
    yield row("seconds", "own", 12.0, split="cost", of="make", low=None, high=None, unit="s")


@pytest.fixture
def context(tmp_path) -> PageContext:
    Results(rows()).write(tmp_path / "results.jsonl")
    return PageContext(load(tmp_path))


def test_verdicts_come_first_and_restored_ones_lead(context, tmp_path):
    own, urial = verdict_lines(context)
    assert (own.method, own.word, own.setting, own.why) == ("own", "restored", "alpha 1", "")
    assert (urial.word, urial.kind, urial.setting) == (
        "not restored",
        "no",
        "as it is",
    ) and urial.why.startswith("harm")
    write_report([tmp_path], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert page.index('class="pivot verdicts"') < page.index('class="chart tradeoff"')
    assert "<script>alert(1)" not in page and "refuses harmful 1.00 <b>" not in page


def test_every_setting_is_a_point_with_its_alpha(context):
    (curve,), references = curves(context)
    assert curve.method == "own" and [p.label for p in curve.points] == ["0.5", "1", "3", "1 r4"]
    assert [p.kind for p in curve.points] == ["dense", "chosen", "dense", "rank"] and len(
        references
    ) == 2
    for across in ("over", "capability"):
        drawn = str(draw(curve, references, across, context.anchor, "title"))
        assert (
            drawn.count("<a href") == 6
            and drawn.count('class="choice"') == 1
            and ">0.5</text>" in drawn
        )


def test_a_folder_of_another_study_has_no_such_section(tmp_path):
    Results(
        [Measurement("measure", "lab", "empty_rate", "base", 0.0, 3, 0.0, 0.5, split="test")]
    ).write(tmp_path / "results.jsonl")
    write_report([tmp_path], tmp_path / "report.html")
    assert "tradeoff" not in (tmp_path / "report.html").read_text().split("<body", 1)[1]


shares = st.sampled_from([i / 8 for i in range(9)])


@given(st.lists(st.tuples(shares, shares, shares), min_size=1, max_size=6))
def test_labels_keep_apart(values):
    def one(x):
        return Measurement("restore", "lab", "m", "own", x, 30, x, x)

    points = [Point(f"{i}", *(one(x) for x in three), "dense") for i, three in enumerate(values)]
    placed = labels(Curve("own", points).points, "over")
    assert sum(len(one.text.split(", ")) for one in placed if "+" not in one.text) <= len(points)
    apart = [not a.over(b) for i, a in enumerate(placed) for b in placed[i + 1 :]]
    assert sum(apart) >= len(apart) - 1  # with everything in one corner a label may have no room


def test_what_was_found_is_read_off_facts_and_not_off_notes_or_names(tmp_path, context):
    """The same rows with facts and without a word in their notes: the page says the same."""
    facts = [replace(r, facts=facts_of_0_1(r) or None, note="Lorem: ipsum – dolor") for r in rows()]
    (tmp_path / "facts").mkdir()
    Results(facts).write(tmp_path / "facts" / "results.jsonl")
    new = PageContext(load(tmp_path / "facts"))
    for before, after in zip(verdict_lines(context), verdict_lines(new), strict=True):
        for name in ("method", "word", "why", "kind", "setting"):
            assert getattr(before, name) == getattr(after, name)
    for before, after in zip(curves(context)[0], curves(new)[0], strict=True):
        assert [(p.label, p.kind, p.constant) for p in before.points] == [
            (p.label, p.kind, p.constant) for p in after.points
        ]
    write_report([tmp_path / "facts"], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "The rule: the least loss." in page and "The verdicts: restored by own" in page


def test_other_words_change_no_verdict_and_no_mark(context, monkeypatch):
    before = [(x.method, x.kind) for x in verdict_lines(context)]
    monkeypatch.setattr(words, "VERDICTS", {"restored": "healed", "not_restored": "still ill"})
    lines = verdict_lines(context)
    assert [x.word for x in lines] == ["healed", "still ill"]
    assert [(x.method, x.kind) for x in lines] == before


def test_the_first_sentence_separates_what_is_not_known_from_what_failed(tmp_path):
    def verdict(way: str, word: str):
        facts = {"verdict": word, "failed": [], "below_aligned": False, "figures": {}}
        value = None if word == words.OPEN else 0.0
        return Measurement("restore", "lab", "restored", way, value, 6, split="test", facts=facts)

    rows = [verdict("urial", words.NOT), verdict("own", words.OPEN), verdict("head", words.OPEN)]
    Results(rows).write(tmp_path / "results.jsonl")
    context = PageContext(load(tmp_path))
    assert SECTION.finding(context) == (
        "The verdicts: not determined for own and head; not restored by urial."
    )
    assert [line.kind for line in verdict_lines(context)] == ["open", "open", "no"]


def test_the_opening_counts_refusals_and_names_the_next_command(tmp_path):
    def folder(verdict: str, merge: bool = True) -> PageContext:
        rates = {"restored": 0.95, "compromised": 0.0, "aligned": 1.0}
        facts = {
            "verdict": verdict,
            "failed": [],
            "below_aligned": False,
            "figures": {"refusal_rate": rates},
        }
        row = Measurement("restore", "lab", "restored", "own", 1.0, 20, split="test", facts=facts)
        Results([row]).write(tmp_path / "a b" / "results.jsonl")
        config = {"aligned": "models/A x", "settings": {"merge": merge}}
        (tmp_path / "a b" / "run.json").write_text(json.dumps({"config": config}))
        return PageContext(load(tmp_path / "a b"))

    (tmp_path / "a b").mkdir()
    context = folder(words.RESTORED)
    assert SECTION.finding(context) == (
        "The compromised model refuses 0 of 20 harmful prompts, the aligned model 20; with the "
        "method “own” it refuses 19. The verdicts: restored by own."
    )
    place = tmp_path / "a b"
    command = SECTION.next_step(context).command
    assert shlex.split(command) == [
        *("veneer", "audit", "models/A x", f"{place}/restored-own", "--out", f"{place}-audit")
    ]
    assert html.escape(command, quote=True).replace("&#x27;", "&#39;") in render([place])
    assert SECTION.next_step(folder(words.NOT)) is None
    assert SECTION.next_step(folder(words.RESTORED, merge=False)) is None
