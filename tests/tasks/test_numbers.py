"""Numbers in answers."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veneer.tasks.numbers import cut, equal, last_number, stated_number
from veneer.tasks.svamp import Svamp
from veneer.tasks.word_problems import score_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("The answer is 72.", "72"),
        ("It costs $1,234.50.", "1234.50"),
        ("$ 18", "18"),
        ("so 12.", "12"),
        ("12.5.", "12.5"),
        ("half of it is .5", ".5"),
        ("-7", "-7"),
        ("it is -7 degrees", "-7"),
        ("it is −7 degrees", "-7"),
        ("a loss of -$5", "-5"),
        ("a loss of $-5", "-5"),
        ("10-3", "3"),
        ("8 - 5 = 3", "3"),
        ("pages 3-5", "5"),
        ("25%", "25"),
        ("25 %, that is", "25"),
        ("1,000,000 people", "1000000"),
        ("1,00,000 rupees", "100000"),
        ("1, 2, 3", "3"),
        ("1,2", "2"),
        ("3 apples and 4 pears", "4"),
        ("**72**", "72"),
        ("x=9", "9"),
        ("at 3:30", "30"),
        ("0", "0"),
        ("007", "7"),
        ("no number", None),
        ("", None),
        ("...", None),
        ("$", None),
        ("2²", "2"),
    ],
)
def test_last_number(text, number):
    found = last_number(text)
    assert found == (None if number is None else Decimal(number))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("76 - 25 = 51. The answer is 51.", "51"),
        ("#### 72", "72"),
        ("####72", "72"),
        ("#### -3", "-3"),
        ("The answer is: $1,234.50", "1234.50"),
        ("the ANSWER IS **12**.", "12"),
        ("Answer: 5 apples", "5"),
        ("The answer is \\boxed{8}.", "8"),
        ("The answer is $\\boxed{8}$.", "8"),
        ("The answer is 3. No, the answer is 4.", "4"),
        ("The answer is 3, since 1 + 2 = 3 and 2 + 2 = 4.", "3"),
        ("51", None),
        ("The answer is unknown, perhaps 5.", None),
        ("", None),
    ],
)
def test_stated_number(text, number):
    found = stated_number(text)
    assert found == (None if number is None else Decimal(number))


@pytest.mark.parametrize("text", ["72", "72.0", "72.00", "$72", "72%", "072", "72."])
def test_one_number_many_spellings(text):
    assert equal(last_number(text), "72")


@pytest.mark.parametrize("text", ["72.5", "-72", "7.2", "720", "", "71.9999"])
def test_other_numbers(text):
    assert not equal(last_number(text), "72")


def test_the_answer_may_have_commas():
    assert equal(last_number("70,000"), "70,000")
    assert equal(last_number("70000.0"), "70,000")


def test_what_base_asks_itself_is_cut():
    assert cut(" 51\n\nQuestion: How many?", ("Question:", "Comment:")) == " 51\n\n"
    assert cut(" 51 Comment: 3 Question: 4", ("Question:", "Comment:")) == " 51 "
    assert cut(" 51", ("Question:",)) == " 51"


def test_score():
    prompt = Svamp().problem("1", "How many?", "51")
    for text, flexible, strict in [
        (" 51\n\nQuestion: How many are 2 and 3?\nAnswer: 5", 1, 0),
        (" The answer is 51.", 1, 1),
        (" The answer is 51, not 50.", 0, 1),
        (" 50", 0, 0),
        ("", 0, 0),
        (" 51\nAnswer the following question.\n\n7", 1, 0),
    ]:
        assert score_number(prompt, text) == {"accuracy": flexible, "accuracy_strict": strict}


@given(st.integers(-(10**12), 10**12))
def test_every_whole_number_is_found_however_it_is_written(number):
    for text in (f"It is {number}.", f"It is {number:,} in all.", f"The answer is {number}.00"):
        assert last_number(text) == number
    assert stated_number(f"The answer is {number:,}.") == number


@given(st.text(max_size=60))
def test_no_text_is_too_odd(text):
    last_number(text)
    stated_number(text)
