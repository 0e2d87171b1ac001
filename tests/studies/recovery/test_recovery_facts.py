"""Facts of a recovery study's rows, and the same read off the notes of Veneer 0.1."""

from __future__ import annotations

import json

import numpy as np
import pytest

from veneer.foundation.results import Measurement
from veneer.report.load import load
from veneer.report.page_context import PageContext
from veneer.studies.recovery import words
from veneer.studies.recovery.compare import Entry, compare
from veneer.studies.recovery.folders_0_1 import facts_of, facts_of_0_1
from veneer.studies.recovery.page import dropped, recovered
from veneer.studies.recovery.rows import answer_rows, example_rows, rows
from veneer.studies.recovery.similarity import Lexical

ROW_0_1 = {"study": "recovery", "task": "t", "n": 8, "system": "s", "value": None}
ORACLE = "oracle: it has seen the teacher's answer to the test prompt"
P_VALUES = (
    "margin 0.09859, one-sided p 1 (too low) and 2.21e-10 (too high), 1 after Holm over 8; p of "
    "no difference 0.0568"
)
OF_0_1 = [
    (
        {"metric": "lexical_best", "note": f"expected best of 2 candidates; {ORACLE}"},
        {"oracle": "teacher-answer"},
    ),
    (
        {"metric": "gap_to_ceiling", "note": f"undecided: {P_VALUES}"},
        {"verdict": "undecided", "side": None},
    ),
    (
        {
            "metric": "gap_to_ceiling",
            "note": f"different (below the ceiling): {P_VALUES}; {ORACLE}",
        },
        {"verdict": "different", "side": "below", "oracle": "teacher-answer"},
    ),
    (
        {
            "metric": "portion",
            "note": "2 prompts have all of system, base and ceiling; at least 3 are needed; "
            "oracle: it has seen the test answers",
        },
        {
            "reason": {
                "code": "text",
                "text": "2 prompts have all of system, base and ceiling; at least 3 are needed",
            },
            "oracle": "test-answers",
        },
    ),
    (
        {
            "metric": "examples",
            "note": "24 examples dropped on 8 of 8 prompts: prompt and answer would not fit; "
            "counted, not estimated: no interval",
        },
        {"dropped": 24, "dropped_prompts": 8, "prompts": 8},
    ),
    ({"metric": "answers", "note": "counted, not estimated: no interval"}, {}),
    ({"metric": "empty_rate", "note": None}, {}),
]


@pytest.mark.parametrize(("row", "facts"), OF_0_1)
def test_facts_of_rows_of_0_1(row, facts):
    assert facts_of_0_1(Measurement.from_json({**ROW_0_1, **row})) == facts


def texts(shared: float, samples: int, seed: int) -> list[list[str]]:
    rng = np.random.default_rng(seed)
    return [
        [
            " ".join(
                f"w{p}-{j}" if rng.random() < shared else f"x{rng.integers(10**9)}"
                for j in range(20)
            )
            for _ in range(samples)
        ]
        for p in range(12)
    ]


TEACHER = [[" ".join(f"w{p}-{j}" for j in range(20)), *x] for p, x in enumerate(texts(0.9, 3, 1))]
ENTRIES = [
    Entry("base", texts(0.1, 4, 2)),
    Entry("knn-response-3", texts(0.5, 4, 3), oracle="teacher-answer"),
    Entry("few", [t if i < 2 else [] for i, t in enumerate(texts(0.5, 4, 4))]),
]


def measured(teacher=TEACHER) -> list[Measurement]:
    return [
        *rows(compare(Lexical(), teacher, ENTRIES), ENTRIES, teacher="aligned", task="t"),
        *answer_rows(ENTRIES, task="t", expected=4),
        *example_rows(
            {"knn-response-3": ([2] * 12, [1] * 12)}, {"knn-response-3": "teacher-answer"}, task="t"
        ),
    ]


def test_facts_are_json():
    for row in measured():
        assert Measurement.from_json(json.loads(json.dumps(row.to_json()))).facts == row.facts
    oracle = [r for r in measured() if r.system == "knn-response-3"]
    assert oracle and all(r.fact("oracle") == "teacher-answer" for r in oracle)
    gap = next(r for r in oracle if r.metric == "gap_to_ceiling")
    assert (gap.fact("verdict"), gap.fact("side")) == ("different", "below")
    assert 0 <= gap.fact("p") <= 1 and gap.fact("family") == 1 and gap.fact("margin") > 0


def test_notes_tell_the_same_facts_as_those_of_0_1():
    """What 0.1 told in a note is what the row now has as facts: the note is today's text still."""
    for row in measured():
        for name, value in facts_of_0_1(row).items():
            if name == "reason":
                assert value["text"] == words.undefined(row.facts)
            else:
                assert row.fact(name) == value, (row.metric, name)


def test_a_scale_without_distance_has_a_reason_with_its_figures():
    same = [[x[0], *base] for x, base in zip(TEACHER, ENTRIES[0].answers, strict=True)]
    rows = [r for r in measured(same) if r.metric == "portion" and r.system == "knn-response-3"]
    row = rows[0]
    reason = row.fact("reason")
    assert row.value is None and reason["code"] == "no_difference"
    assert reason["low"] <= reason["value"] <= reason["high"]
    assert row.note.startswith("ceiling and base do not differ beyond chance: their difference is")


def write(folder, rows):
    folder.mkdir()
    lines = [json.dumps({**ROW_0_1, **r}) for r in rows]
    (folder / "results.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "run.json").write_text(
        json.dumps({"finished": True, "scale": {"zero": "base", "margin_share": 0.1}})
    )
    return PageContext(load(folder))


def test_a_folder_of_0_1_shows_what_a_new_one_shows(tmp_path):
    new = [r.to_json() for r in measured()]
    old = [{k: v for k, v in r.items() if k not in ("facts", "system_id")} for r in new]
    parts = [write(tmp_path / name, rows) for name, rows in (("new", new), ("old", old))]
    shown = [
        [
            (line.row.system, line.word, line.verdict, line.oracle, line.why)
            for chart in recovered(part)
            for line in chart.lines
        ]
        for part in parts
    ]
    assert shown[0] == shown[1] and any(line[3] for line in shown[0])
    assert (
        dropped(parts[0])
        == dropped(parts[1])
        == [("knn-response-3", "12 examples dropped on 12 of 12 prompts")]
    )


def test_the_page_reads_facts_and_no_note(tmp_path, monkeypatch):
    """Other words in the notes change nothing that the page makes of the facts."""
    monkeypatch.setattr(words, "COUNTED", "beyond all estimates; oracle: no")
    monkeypatch.setattr(words, "SIDES", {"below": "lower", "above": "higher"})
    part = write(tmp_path / "out", [{**r.to_json(), "note": "other words"} for r in measured()])
    (line,) = (x for x in recovered(part)[0].lines if x.row.system == "knn-response-3")
    assert (line.word, line.verdict, line.oracle) == ("different", "different (lower)", True)
    assert facts_of(line.row) is line.row.facts
