"""Templates around a prompt: which one base reads, that none is put around another,
and conversations."""

from __future__ import annotations

import pytest

from veneer.foundation.errors import InputError
from veneer.models.formats import ChatFormat, PlainFormat, given_format
from veneer.prompts.prompt import Prompt
from veneer.prompts.templates import ALPACA, NAMED, given_template, marks, short, wrapped

QUESTION = Prompt.from_text("q", "What is 2 + 2?", template=NAMED["question"])
RAW = Prompt.from_text("r", "What is 2 + 2?")
OWN = Prompt.from_text("o", "What is 2 + 2?", plain="2 + 2 =")
TURNS = (
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "Bye"},
)


def test_a_prompt_knows_its_template():
    assert QUESTION.plain == "Answer the following question.\n\nQuestion: What is 2 + 2?\nAnswer:"
    assert (QUESTION.own_template, RAW.own_template, OWN.own_template) == (
        NAMED["question"],
        "{prompt}",
        None,
    )
    known_from_its_text = Prompt.from_text("d", "Hi", plain="User: Hi\n\nAssistant:")
    assert known_from_its_text.own_template == "User: {prompt}\n\nAssistant:"
    twice_in_its_text = Prompt.from_text("d", "a", plain="a banana")
    assert twice_in_its_text.own_template is None


@pytest.mark.parametrize(
    ("form", "prompt", "text", "template"),
    [
        (PlainFormat(), QUESTION, QUESTION.plain, NAMED["question"]),
        # not one around the other
        (PlainFormat("Q: {prompt}\nA:"), QUESTION, "Q: What is 2 + 2?\nA:", "Q: {prompt}\nA:"),
        (PlainFormat("Q: {prompt}\nA:"), RAW, "Q: What is 2 + 2?\nA:", "Q: {prompt}\nA:"),
        (PlainFormat(bare=True), QUESTION, "What is 2 + 2?", "{prompt}"),
        # a text of its own stays
        (PlainFormat("Q: {prompt}\nA:"), OWN, "Q: 2 + 2 =\nA:", "Q: {prompt}\nA:"),
        (PlainFormat(), OWN, "2 + 2 =", None),
    ],
)
def test_a_given_template_replaces_the_prompts_own(form, prompt, text, template):
    assert form.text(prompt) == text
    assert form.template_of(prompt) == template


def test_names():
    assert given_format(None) == PlainFormat()
    assert given_format("alpaca") == PlainFormat(ALPACA)
    assert given_format("plain") == given_format("{prompt}") == PlainFormat(bare=True)
    assert given_format("chat", ChatFormat("Be kind.")) == ChatFormat("Be kind.")
    assert given_format("Say {prompt}") == PlainFormat("Say {prompt}")
    assert short(ALPACA) == "alpaca" and short("Say {prompt}") == "'Say {prompt}'"
    with pytest.raises(
        InputError,
        match=r"'vicuna' has no \{prompt\} and is no name of a template; .* one of alpaca, ",
    ):
        given_template("vicuna")


def test_a_conversation_in_a_template():
    text = wrapped("<q>{prompt}</q> ", TURNS)
    assert text == "Be kind.\n\n<q>Hi</q> Hello\n\n<q>Bye</q> "
    assert (
        wrapped("{prompt}", TURNS)
        == "Be kind.\n\nUser: Hi\n\nAssistant: Hello\n\nUser: Bye\n\nAssistant:"
    )
    assert wrapped("{prompt} again: {prompt}!", TURNS[1:2]) == "Hi again: Hi!"
    assert (
        wrapped("<q>{prompt}</q>", ({"role": "user", "content": "{prompt}"},)) == "<q>{prompt}</q>"
    )


def test_marks_are_the_line_that_begins_the_next_turn():
    assert marks(ALPACA) == ("\n### Instruction:",)
    assert marks("User: {prompt}\n\nAssistant:") == ("\nUser:",)
    assert marks("{prompt}\n\nAnswer:") == marks("---\n{prompt}") == ()
