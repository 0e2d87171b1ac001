"""Reasoning and answer apart, in every form that models write, and nothing taken from an answer
that only speaks of the marks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thoughts import ANSWER, ANSWERS, CUT, THOUGHT, forms
from veneer.reasoning import ResponseParts, opened_by, split_reasoning


@pytest.mark.parametrize("form", forms())
def test_the_answer_stands_apart_from_the_thought(form):
    split = split_reasoning(forms()[form])
    assert split.answer.strip() == ANSWER
    assert split.reasoning is not None and THOUGHT in split.reasoning
    assert split.closed and not split.unfinished


@pytest.mark.parametrize("form", forms())
def test_an_answer_that_was_taken_apart_stays_as_it_is(form):
    answer = split_reasoning(forms()[form]).answer
    assert split_reasoning(answer) == ResponseParts(None, answer)


@pytest.mark.parametrize("form", CUT)
def test_a_text_that_ends_within_its_thought_has_no_answer(form):
    split = split_reasoning(CUT[form])
    assert split.unfinished and split.answer == "" and split.reasoning is not None


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_that_speaks_of_the_marks_stays_an_answer(text):
    assert split_reasoning(text) == ResponseParts(None, text)


def test_a_thought_without_a_word_is_none():
    assert split_reasoning(f"<think>\n\n</think>\n\n{ANSWER}") == ResponseParts(None, ANSWER)


def test_a_later_thought_is_taken_out_of_the_answer():
    text = "<think>a</think>\nFirst part.\n<think>b</think>\nSecond part: `<think>`."
    assert split_reasoning(text) == ResponseParts(
        "a\n\nb", "First part.\n\nSecond part: `<think>`."
    )


def test_an_answer_stays_where_a_further_thought_is_cut():
    assert split_reasoning("<think>a</think>\nYes.\n<think>\nNow the next") == ResponseParts(
        "a\n\nNow the next", "Yes.\n", closed=False
    )


def test_special_tokens_count_wherever_they_stand():
    certain = {"[THINK]", "[/THINK]"}
    assert split_reasoning("Well. [THINK]a[/THINK]b", certain=certain) == ResponseParts(
        "a", "Well.\n\nb"
    )
    assert split_reasoning("Well. [THINK]a", certain=certain) == ResponseParts(
        "Well.\n\na", "", closed=False
    )
    assert split_reasoning("Well. [THINK]a[/THINK]b") == ResponseParts(
        None, "Well. [THINK]a[/THINK]b"
    )
    assert split_reasoning(
        "Here is my thought process: a", certain={"Here is my thought process:"}
    ).unfinished


def test_what_the_prompt_opened_is_a_thought_until_it_is_closed():
    assert split_reasoning("so it is</think>4", opened="<think>") == ResponseParts("so it is", "4")
    assert split_reasoning("<think>so it is</think>4", opened="<think>") == ResponseParts(
        "so it is", "4"
    )
    assert split_reasoning("so it is", opened="<think>") == ResponseParts(
        "so it is", "", closed=False
    )
    assert split_reasoning("\n", opened="<think>").unfinished
    assert split_reasoning("", opened="<think>") == ResponseParts(None, "")
    assert split_reasoning("so<channel|>4", opened="<|channel>thought") == ResponseParts("so", "4")
    header = "<|channel|>analysis<|message|>"
    assert split_reasoning(
        "so<|end|><|start|>assistant<|channel|>final<|message|>4", opened=header
    ) == ResponseParts("so", "4")
    assert split_reasoning("4", opened="<|channel|>final<|message|>") == ResponseParts(None, "4")


def test_what_commentary_tells_the_user_is_the_answer_where_there_is_no_other():
    text = (
        "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary<|message|>I "
        "look it up."
    )
    assert split_reasoning(text) == ResponseParts("a", "I look it up.")
    assert split_reasoning("<|channel|>final<|message|>4<|return|>") == ResponseParts(None, "4")
    assert split_reasoning("assistantfinalFour.") == ResponseParts(None, "Four.")


@pytest.mark.parametrize(
    ("prompt", "mark"),
    [
        ("<|im_start|>assistant\n<think>\n", "<think>"),
        ("<|Assistant|><think>", "<think>"),
        ("User: hi\n\nAssistant: <think>", "<think>"),
        ("[/INST][THINK]", "[THINK]"),
        ("<|turn>model\n<|channel>thought\n", "<|channel>thought"),
        ("<|start|>assistant<|channel|>analysis<|message|>", "<|channel|>analysis<|message|>"),
        ("Here are my reasoning steps:\n", "Here are my reasoning steps:"),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", ""),
        ("<|start|>assistant", ""),
        ("What is the meaning of <think>", ""),
        ("Question: 1 + 1?\nAnswer:", ""),
    ],
)
def test_the_prompts_end_tells_whether_it_opened_a_thought(prompt, mark):
    assert opened_by(prompt) == mark


PIECES = [
    "<think>",
    "</think>",
    "[THINK]",
    "[/THINK]",
    "`",
    "```",
    "\n",
    " ",
    "a",
    "B.",
    "analysis",
    "assistantfinal",
    "<answer>",
    "<|channel|>",
    "<|message|>",
    "final",
    "<|end|>",
    "<|start|>",
    "<|channel>",
    "<channel|>",
    '"',
    "</answer>",
    "the ",
]


@given(
    st.lists(st.sampled_from(PIECES), max_size=14).map("".join),
    st.sampled_from(["", "<think>", "[THINK]"]),
)
def test_no_text_breaks_it_and_no_answer_comes_from_nowhere(text, opened):
    split = split_reasoning(text, opened=opened)
    assert all(word in text for word in split.answer.split())
    if not split.closed and split.reasoning is None:
        raise AssertionError("an open thought counts, even without a word")
