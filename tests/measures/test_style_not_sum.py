"""Figures that the veneer misses, against a count by hand."""

import numpy as np
import pytest

from made_up import held_out
from veneer.foundation.results import Results
from veneer.measures.style_not_sum import numeric, style_not_sum, style_not_sum_rows


class Digits:
    """A tokenizer of ten tokens; 2, 3 and 4 are figures, 5 only holds one."""

    words = ("a", " b", "2", " 31", "$5", "x6", "g", "\n", ".", "9")

    def decode(self, ids):
        return "".join(self.words[i] for i in ids)


class Taken:
    """The responses of the three prompts of made_up."""

    def responses(self):
        rows = {4: [1, 2, 3], 7: [4, 5], 9: [6, 7]}
        return [
            {"number": n, "prompt_id": f"p{n}", "task": "a" if n < 9 else "b", "token_ids": ids}
            for n, ids in rows.items()
        ]


# aligned 1..7, base 1 9 9 9 9 6 9, veneer 1 2 9 4 9 6 9 (prompts 4 4 4 7 7 9 9)
def test_numeric_tokens():
    assert numeric(held_out(), Digits()).tolist() == [False, True, True, True, False, False, False]


def test_base_and_veneer_share_another_token():
    rows = style_not_sum(held_out(), Taken(), Digits())
    assert rows == [
        {
            "prompt_id": "p4",
            "task": "a",
            "context": " b2",
            "base": "9",
            "veneer": "9",
            "aligned": " 31",
            "position": 3,
            "next": " 31",
        }
    ]


def test_each_prompt_comes_once_before_one_comes_twice():
    table = held_out(veneer_top=held_out().base_top, kl_veneer=np.array([9, 2, 3, 1, 9, 9, 9.0]))
    rows = style_not_sum(table, Taken(), Digits())
    assert [(r["prompt_id"], r["position"]) for r in rows] == [("p4", 3), ("p7", 1), ("p4", 2)]
    assert style_not_sum(table, Taken(), Digits(), limit=1) == rows[:1]


def test_rates():
    rows = Results(style_not_sum_rows(held_out(), Digits()))
    values = {(r.metric, r.system): (r.value, r.n) for r in rows}
    assert values["style_not_sum_rate", "veneer"] == (pytest.approx(1 / 3), 2)
    assert values["number_missed_rate", "veneer"] == (pytest.approx(1 / 3), 2)
    assert values["number_missed_rate", "base"] == (1, 2)
    assert all(
        r.low <= r.value <= r.high and r.low < r.high and "3 tokens" in r.note
        for r in rows.where(system="veneer")
    )
    assert list(style_not_sum_rows(held_out(), Digits(), task="b")) == []
