"""How much of the shift is added where: the four forms, their texts, and what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veneer.foundation.errors import InputError
from veneer.systems.alpha import Alpha

NUMBER = st.floats(-1e6, 1e6, allow_nan=False)
ANY = st.one_of(
    st.builds(Alpha, NUMBER),
    st.builds(Alpha, NUMBER, steps=st.integers(1, 9999)),
    st.builds(Alpha, NUMBER, NUMBER, st.integers(2, 9999)),
    st.builds(Alpha, NUMBER, half_life=st.floats(1e-3, 1e6)),
)


@given(ANY)
def test_a_text_gives_the_same_schedule(alpha):
    assert Alpha.parse(str(alpha)) == alpha and str(Alpha.parse(str(alpha))) == str(alpha)
    assert Alpha.parse(alpha) is alpha


@given(ANY, st.integers(1, 20000))
def test_between_its_ends_and_zero_behind_the_last(alpha, position):
    value = alpha.at(position)
    ends = [
        alpha.start,
        alpha.start if alpha.end is None else alpha.end,
        *([0.0] if alpha.end is None else []),
    ]
    assert math.isfinite(value) and min(ends) - 1e-9 <= value <= max(ends) + 1e-9
    assert alpha.at(1) == alpha.start
    if alpha.constant is not None:
        assert value == alpha.constant
    if alpha.last is not None:
        assert alpha.at(alpha.last + 1) == alpha.at(alpha.last + 1000) == 0
        assert position <= alpha.last or value == 0


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1", {1: 1, 500: 1}),
        ("1.5@10", {1: 1.5, 10: 1.5, 11: 0}),
        ("1.5>0.2@10", {1: 1.5, 10: 0.2, 11: 0.2, 99: 0.2, 4: 1.5 - 1.3 * 3 / 9}),
        ("2>0@3", {1: 2, 2: 1, 3: 0, 4: 0}),
        ("1.5~8", {1: 1.5, 9: 0.75, 17: 0.375}),
        ("-0.5", {1: -0.5}),
        ("+.5e1@2", {1: 5, 3: 0}),
    ],
)
def test_values(text, values):
    alpha = Alpha.parse(text)
    assert {p: alpha.at(p) for p in values} == pytest.approx(values)


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("0", 0),
        ("1", None),
        ("1@7", 7),
        ("0@7", 0),
        ("1>0@5", 4),
        ("1>0.1@5", None),
        ("1~2", None),
        ("0>1@3", None),
        ("0~3", 0),
    ],
)
def test_last(text, last):
    assert Alpha.parse(text).last == last


def test_canonical_texts():
    texts = {
        1.0: "1",
        "1.50": "1.5",
        "-0": "0",
        "1.5 ": "1.5",
        "1e-7": "1e-07",
        "2.0@03": "2@3",
        "1>0@2": "1>0@2",
        "1~8.0": "1~8",
    }
    assert {k: str(Alpha.parse(k)) for k in texts} == texts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "nan",
        "inf",
        "1e999",
        "1,5",
        "1@",
        "1@0",
        "1@-1",
        "1@1.5",
        "1>2",
        "1>2@1",
        "1>2@0",
        "1~0",
        "1~-3",
        "1~",
        "~3",
        "1@2@3",
        "1_0",
        "١",
        "1>nan@3",
        "True",
        float("nan"),
        float("inf"),
    ],
)
def test_anything_else_is_refused_with_the_forms(text):
    with pytest.raises(InputError, match=r"1\.5>0\.2@10"):
        Alpha.parse(text)


def test_positions_begin_at_one():
    with pytest.raises(ValueError, match="position 1"):
        Alpha().at(0)
