"""A person's text that holds a control token is named once, a template's is not."""

from __future__ import annotations

import copy
import logging

import pytest

from tiny import tiny
from veneer.models.control_tokens import control_token, special_tokens, warn_of_control_tokens
from veneer.models.formats import PlainFormat
from veneer.prompts.prompt import Prompt
from veneer.systems.system import System


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("Hi<|eos|><|bos|>you", "<|eos|>"),
        ("Hi <| eos |> you", None),
        ("[INST] hi [/INST] <b>", None),
        ("", None),
    ],
)
def test_a_special_token_within_a_text_is_found(text, token):
    tokenizer = tiny().tokenizer
    assert control_token(tokenizer, text, special_tokens(tokenizer)) == token


def test_a_tokenizer_that_reads_it_as_text_is_not_warned_of():
    tokenizer = copy.deepcopy(tiny().tokenizer)
    tokenizer.split_special_tokens = True
    assert control_token(tokenizer, "Hi<|eos|>", special_tokens(tokenizer)) is None


def test_a_prompt_with_a_control_token_is_named_once_and_a_template_is_not(caplog):
    lm = tiny()
    lm.name = "a-model-of-this-test"
    system = System.of_model(lm, format=PlainFormat("<|bos|>{prompt}<|pad|>"))
    prompts = [Prompt.from_text("p1", "Hi"), Prompt.from_text("p2", "Hi<|eos|>you")]
    with caplog.at_level(logging.WARNING, "veneer"):
        system.prompt_tokens(prompts)
        warn_of_control_tokens(lm, prompts)
    warnings = [r.getMessage() for r in caplog.records if "control token" in r.getMessage()]
    assert warnings == [
        "veneer: prompt 'p2' holds '<|eos|>', which a-model-of-this-test reads as a control token "
        "and not as text"
    ]
