"""A person's text that holds a control token is named once, a template's is not."""

from __future__ import annotations

import copy
import logging

import pytest

from tiny import tiny
from veneer.models.control_tokens import (
    control_token,
    opening,
    special_tokens,
    warn_of_control_tokens,
    warn_of_markup,
)
from veneer.models.formats import ChatFormat, PlainFormat
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


ALPACA = PlainFormat("Below is an instruction.\n\n### Instruction:\n{prompt}\n\n### Response:")


@pytest.mark.parametrize(
    ("form", "text", "mark"),
    [
        (ChatFormat(), "<|im_start|>user\nHi<|im_end|>\n", "<|im_start|>"),
        (ChatFormat(), "<s>[INST] Hi [/INST]", "[INST]"),
        (ChatFormat(), "<bos><start_of_turn>user\nHi", "<start_of_turn>"),
        (ChatFormat(), "<|begin_of_text|><|start_header_id|>user", "<|start_header_id|>"),
        (ChatFormat(), "What does [INST] mean?", None),
        (ChatFormat(), "### Instruction:\nHi", None),
        (ALPACA, "\n### Instruction:\nHi", "### Instruction:"),
        (ALPACA, "Hi", None),
        (PlainFormat(), "<|im_start|>user\nHi", None),  # base reads what the user gives
        (PlainFormat("Question: {prompt}\nAnswer:"), "Question: why?", "Question:"),
    ],
)
def test_a_prompt_in_a_template_is_known_by_its_beginning(form, text, mark):
    assert opening(form, Prompt.from_text("p", text)) == mark


def test_a_template_in_a_template_is_named_once(caplog):
    lm = tiny()
    lm.name = "another-model-of-this-test"
    prompts = [Prompt.from_text(f"p{i}", "[INST] Hi [/INST]") for i in range(2)]
    with caplog.at_level(logging.WARNING, "veneer"):
        warn_of_markup(lm, ChatFormat(), prompts)
        System.of_model(lm, format=ChatFormat()).prompt_tokens(prompts)
    (warning,) = [r.getMessage() for r in caplog.records]
    assert "prompt 'p0' begins with '[INST]'" in warning and lm.name in warning
