"""The rule against labels that were made before it, and the table and rows that it fills."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_up import held_out
from veneer.foundation.results import Results
from veneer.measures.shift_groups import ShiftGroup, deep_group, group_of, shift_group
from veneer.measures.shifts import group_rows, shift_table

LABELS = [
    json.loads(line)
    for line in Path(__file__)
    .with_name("shift_labels.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]


def after(row):
    return row["veneer"] if row["kind"] == "veneer" else row["aligned"]


def test_the_sample_is_as_described():
    assert len(LABELS) == 200 and Counter(r["part"] for r in LABELS) == {
        "tuned": 100,
        "held-out": 100,
    }
    assert {r["group"] for r in LABELS} == {g.value for g in ShiftGroup}
    assert all(after(r) != r["base"] for r in LABELS)
    assert all(r["aligned"] not in (r["base"], r["veneer"]) for r in LABELS if r["kind"] == "deep")


@pytest.mark.parametrize(("part", "least"), [("tuned", 95), ("held-out", 94)])
def test_agreement_with_the_labels(part, least):
    """The figures of docs/token-shifts.md."""
    rows = [r for r in LABELS if r["part"] == part]
    assert sum(group_of(r["base"], after(r), r["context"]) == r["group"] for r in rows) == least


@pytest.mark.parametrize(
    ("before", "new", "context", "group"),
    [
        ("##", " To", "", "structure"),  # the paper's examples
        (" solve", " find", "We", "style"),
        (" The", " Therefore", "x = 3.", "style"),
        ("The", "1", "", "structure"),  # the first mark of a list
        ("8", "6", "4 + 2 = ", "number"),
        (" -", " +", "It is 4", "number"),
        (" -", ":", "The answer", "structure"),
        (" three", " four", "He has", "number"),
        (" here", " sorry", "I'm", "refusal"),
        (" tell", " help", "I can't", "refusal"),
        (" help", " assist", "I can't", "style"),
        (" red", " blue", "The sky is", "content"),
        (" is", " not", "The sky is", "content"),
        ("\n", "<|im_end|>", "Done.", "structure"),
        (".", "</s>", "Done", "structure"),
    ],
)
def test_cases(before, new, context, group):
    assert group_of(before, new, context) == group


def test_which_shift_is_meant():
    assert (
        shift_group("a", "a", "a", "") is None
        and deep_group("a", "b", "b", "") is None
        and deep_group("a", "b", "a", "") is None
    )
    assert (
        shift_group(" red", " the", " 7", "x") == "style"
        and deep_group(" red", " the", " 7", "x") == "number"
    )
    assert (
        shift_group(" red", " red", " 7", "x") == deep_group(" red", " red", " 7", "x") == "number"
    )


@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=40))
def test_any_text_has_a_group(before, new, context):
    assert group_of(before, new, context) in set(ShiftGroup)


class Words:
    words = ("z", " the", ",", " 12", " house", " river", " is", ".", " in", " red")

    def decode(self, ids):
        return "".join(self.words[i] for i in ids)


class Taken:
    def responses(self):
        rows = {4: [1, 2, 3], 7: [4, 5], 9: [6, 7]}
        return [{"number": n, "token_ids": ids} for n, ids in rows.items()]


def test_rows_by_hand():
    # base 1 9 9 9 9 6 9; veneer 1 2 9 4 9 6 9; aligned 1 2 3 4 5 6 7: the veneer moves to a comma
    # and to " house"
    rows = Results(group_rows(held_out(), Taken(), Words()))
    values = {(r.metric, r.system): r.value for r in rows}
    assert values["moved_rate", "veneer"] == pytest.approx(2 / 7)
    assert values["structure_share", "veneer"] == values["content_share", "veneer"] == 0.5
    assert values["deep_rate", "aligned"] == pytest.approx(3 / 7)  # " 12", " river" and "."
    assert [values[f"{g}_share", "aligned"] for g in ("number", "content", "structure")] == [
        pytest.approx(1 / 3)
    ] * 3
    assert (
        values["structure_restored_rate", "veneer"]
        == values["content_restored_rate", "veneer"]
        == 0.5
    )
    assert (
        values["number_restored_rate", "veneer"] == 0
        and ("style_restored_rate", "veneer") not in values
    )
    assert all(r.study == "shift" and (r.n == 1 or r.low <= r.value <= r.high) for r in rows)
    for system in ("veneer", "aligned"):
        assert sum(values[f"{g.value}_share", system] for g in ShiftGroup) == pytest.approx(1)
    assert list(group_rows(held_out(), Taken(), Words(), task="c")) == []
    still = held_out(veneer_top=held_out().base_top)
    assert {
        r.metric
        for r in group_rows(still, Taken(), Words())
        if r.system == "veneer" and not r.metric.endswith("restored_rate")
    } == {"moved_rate"}


def test_the_table_with_tasks_and_groups():
    table = shift_table(held_out(), Words(), Taken())
    assert sum(r["count"] for r in table) == 5  # the first and the sixth token: nobody moves
    (row,) = [r for r in table if r["aligned"] == " 12"]
    assert row == {
        "base": " red",
        "veneer": " red",
        "aligned": " 12",
        "count": 1,
        "shift": "marginal",
        "restored": False,
        "task": "a",
        "group": "number",
        "deep_group": "number",
    }
    (row,) = [r for r in table if r["aligned"] == ","]
    assert row["group"] == "structure" and row["deep_group"] is None and row["restored"]
    two = held_out(
        base_top=np.array([9] * 7), veneer_top=np.array([4] * 7), aligned_top=np.array([4] * 7)
    )
    assert [
        (r["task"], r["count"])
        for r in shift_table(two, Words(), Taken())
        if r["shift"] == "shifted"
    ] == [("a", 5), ("b", 2)]
