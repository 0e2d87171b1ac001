"""Token shifts against a count by hand."""

import numpy as np
import pytest

from made_up import held_out
from veneer.foundation.results import Results
from veneer.measures.shifts import CLASSES, classes_of, shift_classes, shift_rows, shift_table


class Letters:
    """A tokenizer of ten letters."""

    def decode(self, ids):
        return "".join("abcdefghij"[i] for i in ids)


def test_classes():
    aligned, base, second, third = np.array(
        [[1, 1, 5, 8], [2, 1, 2, 8], [3, 1, 5, 3], [4, 1, 5, 8]]
    ).T
    assert [CLASSES[k] for k in shift_classes(aligned, base, second, third)] == [
        "unshifted",
        "marginal",
        "marginal",
        "shifted",
    ]
    assert [CLASSES[k] for k in classes_of(held_out())] == [
        "unshifted",
        "marginal",
        "marginal",
        "shifted",
        "shifted",
        "unshifted",
        "shifted",
    ]


def test_rates_are_shares_of_tokens_and_restored_is_a_share_of_its_class():
    results = Results(shift_rows(held_out()))
    values = {r.metric: (r.value, r.n) for r in results}
    assert values["unshifted_rate"] == (pytest.approx(2 / 7), 3)
    assert values["marginal_rate"] == (pytest.approx(2 / 7), 3)
    assert values["shifted_rate"] == (pytest.approx(3 / 7), 3)
    # of tokens 4, 5 and 7, by prompts 7 and 9
    assert values["restored_rate"] == (pytest.approx(1 / 3), 2)
    assert values["restored_or_marginal_rate"] == (pytest.approx(2 / 5), 3)
    assert sum(values[f"{c}_rate"][0] for c in CLASSES) == pytest.approx(1)
    for r in results:
        assert r.study == "shift" and r.low <= r.value <= r.high and r.unit == "share"


def test_of_one_task_and_of_none():
    values = {r.metric: r.value for r in shift_rows(held_out(), task="b")}
    assert values["shifted_rate"] == 0.5 and values["restored_rate"] == 0
    same = held_out(base_top=held_out().aligned_top)
    assert {r.metric for r in shift_rows(same)} == {
        "unshifted_rate",
        "marginal_rate",
        "shifted_rate",
    }
    assert list(shift_rows(held_out(), task="c")) == []


def test_the_table_counts_kinds_and_leaves_out_what_nobody_changed():
    table = shift_table(
        held_out(
            base_top=np.array([1, 9, 9, 9, 9, 1, 9]), aligned_top=np.array([1, 2, 3, 2, 5, 6, 3])
        ),
        Letters(),
    )
    # tokens 3 and 7 are one kind but for the class (3 is base's third at token 3), as are tokens 2
    # (second) and 4
    assert {
        "base": "j",
        "veneer": "j",
        "aligned": "d",
        "count": 1,
        "shift": "marginal",
        "restored": False,
    } in table
    assert {
        "base": "j",
        "veneer": "c",
        "aligned": "c",
        "count": 1,
        "shift": "marginal",
        "restored": True,
    } in table
    assert sum(r["count"] for r in table) == 6  # not the first token: nobody changed it
    assert [r["count"] for r in table] == sorted((r["count"] for r in table), reverse=True)
    assert all(r["restored"] == (r["veneer"] == r["aligned"]) for r in table)
    worse = shift_table(held_out(veneer_top=np.array([9, 2, 9, 4, 9, 6, 9])), Letters())
    assert {
        "base": "b",
        "veneer": "j",
        "aligned": "b",
        "count": 1,
        "shift": "unshifted",
        "restored": False,
    } in worse
