"""The layers of a text model, also beside a tower for images that has as many."""

from __future__ import annotations

import pytest
import torch
from small_configs import small_config
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

from tiny import tokenizer
from veneer.models.language_model import LanguageModel
from veneer.models.layers import layers_name


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("internvl", "model.language_model.layers"),
        ("llava", "model.language_model.layers"),
        ("qwen2_vl", "model.language_model.layers"),
        ("git", "git.encoder.layer"),
    ],
)
def test_no_layer_of_a_tower(kind, name):
    config = small_config(kind)
    door = AutoModelForCausalLM if kind == "git" else AutoModelForImageTextToText
    model = door.from_config(config, dtype=torch.float32).eval()
    assert layers_name(LanguageModel(kind, model, tokenizer())) == name
