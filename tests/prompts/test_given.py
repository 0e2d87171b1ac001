"""Prompts that a program gives as texts, chats or objects."""

from __future__ import annotations

import pytest

from veneer import Prompt
from veneer.foundation.errors import InputError
from veneer.prompts.given import as_prompts

CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 1 + 1?"}]


def test_texts_chats_and_objects_become_prompts():
    own = Prompt.from_text("mine", "A prompt.")
    texts = as_prompts(["one", CHAT, {"id": "third", "prompt": "three"}, own])
    assert [p.id for p in texts] == ["0", "1", "third", "mine"]
    assert texts[0].messages == ({"role": "user", "content": "one"},)
    assert texts[1].plain == "Be brief.\n\nUser: What is 1 + 1?\n\nAssistant:"
    assert texts[3] is own


@pytest.mark.parametrize("one", ["a text", CHAT, {"prompt": "a text"}, Prompt.from_text("0", "x")])
def test_a_single_prompt_is_a_list_of_one(one):
    assert len(as_prompts(one)) == 1


def test_any_iterable_of_texts_is_read():
    assert [p.text for p in as_prompts(str(n) for n in range(2))] == ["0", "1"]
    assert as_prompts([]) == []


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (3, "found int as prompts; expected a list of texts"),
        (["one", 2], "prompt 2 is of the type int; expected a list of texts"),
        (["one", ""], "prompt 2 holds an empty prompt"),
        ([[{"role": "user"}]], "prompt 1, message 1, is no chat turn with a text"),
        ([CHAT, [CHAT[0]]], "prompt 2 ends with the turn of system"),
        (["one", {"id": 0, "prompt": "two"}], "two prompts have the id '0'"),
    ],
)
def test_anything_else_is_refused_in_a_sentence(given, sentence):
    with pytest.raises(InputError) as error:
        as_prompts(given)
    assert sentence in str(error.value)
