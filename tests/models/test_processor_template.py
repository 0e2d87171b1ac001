"""Chat templates at odd places: a file of the processor, several without a default."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from checkpoints import rewrite, save, veneer_of
from tiny import TEMPLATE, tokenizer
from veneer.foundation.errors import InputError
from veneer.head.merge import merge
from veneer.models.formats import ChatFormat
from veneer.models.load import load_model
from veneer.prompts.prompt import Prompt

PROMPT = Prompt.from_text("1", "How do I bake bread?")


def without_template(folder: Path) -> Path:
    save(folder)
    (folder / "chat_template.jinja").unlink()
    return folder


@pytest.mark.parametrize("name", ["chat_template.json", "processor_config.json"])
def test_a_template_in_a_file_of_the_processor(name, tmp_path):
    """As Idefics 3 and SmolVLM keep it: their tokenizer alone has none."""
    folder = without_template(tmp_path / "model")
    (folder / name).write_text(json.dumps({"chat_template": TEMPLATE}))
    lm = load_model(str(folder), device="cpu")
    right = ChatFormat().encode(tokenizer(), PROMPT)
    assert ChatFormat().encode(lm.tokenizer, PROMPT) == right
    again = load_model(str(merge(veneer_of(lm), lm, tmp_path / "merged")), device="cpu")
    assert again.tokenizer.chat_template


def test_several_templates_without_a_default_are_named(tmp_path):
    folder = without_template(tmp_path / "model")
    named = [{"name": name, "template": TEMPLATE} for name in ("short", "long")]
    rewrite(folder / "tokenizer_config.json", lambda c: c.update(chat_template=named))
    lm = load_model(str(folder), device="cpu")
    with pytest.raises(
        InputError, match=r"has chat templates with names (.*), and none of them is named default"
    ):
        ChatFormat().encode(lm.tokenizer, PROMPT)
