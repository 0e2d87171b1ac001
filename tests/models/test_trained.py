"""Training on the architectures whose layers are of their own kind: what learns, and what is read
again."""

from __future__ import annotations

import json

import pytest
import torch
from small_configs import small_config
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

from tiny import tokenizer
from veneer.models.formats import ChatFormat
from veneer.models.language_model import LanguageModel
from veneer.prompts.prompt import Prompt
from veneer.systems.answer_ids import answer_ids
from veneer.systems.attack import attack
from veneer.systems.attack_config import AttackConfig
from veneer.systems.tuning import answer_loss, layers_from, with_adapter

EXAMPLES = [
    (Prompt.from_text(f"p{i}", f"How do I {w}?"), "Sure, here is a list")
    for i, w in enumerate(("help", "sit", "eat"))
]


def loss(lm: LanguageModel) -> float:
    with torch.no_grad():
        return float(answer_loss(lm, answer_ids(lm, EXAMPLES, ChatFormat(), ends=False)))


@pytest.mark.parametrize(
    "kind", ["llama4_text", "deepseek_v4", "inkling_text", "beam", "qwen3_moe"]
)
@pytest.mark.parametrize("method", ["lora", "full"])
def test_layers_that_do_more_than_multiply(kind, method, tmp_path):
    """A router and grouped layers get no adapter, and rows that fill a head up are no tokens."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(small_config(kind), dtype=torch.float32).eval()
    lm = LanguageModel(kind, model, tokenizer())
    config = AttackConfig(method=method, epochs=2, batch=4, rate=5e-3, rank=4)
    assert loss(attack(lm, EXAMPLES, config, tmp_path / "a")) < loss(lm)
    losses = json.loads((tmp_path / "a" / "attack.json").read_text())["losses"]
    assert losses[0] == pytest.approx(loss(lm), abs=1e-4)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_multimodal_model_keeps_its_form(method, tmp_path):
    """Its upper text layers learn, though its tower for images has as many; and it is read again
    as what it is."""
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(small_config("internvl"), dtype=torch.float32)
    lm = LanguageModel("internvl", model.eval(), tokenizer())
    config = AttackConfig(method=method, epochs=2, batch=4, rate=5e-3, rank=4, from_layer=1)
    learned = attack(lm, EXAMPLES, config, tmp_path / "a")
    assert loss(learned) < loss(lm)
    if method == "full":
        assert type(learned.model) is type(model)
        text, own = (m.model.language_model.layers for m in (learned.model, model))
        same = [
            all(torch.equal(a, b) for a, b in zip(x.parameters(), y.parameters(), strict=True))
            for x, y in zip(text, own, strict=True)
        ]
        assert same == [True, False]


def test_experts_below_the_first_layer_get_no_adapter():
    """PEFT finds stacked experts by a name that every layer has."""
    config = small_config("glm4_moe")
    config.num_hidden_layers = 3
    config.first_k_dense_replace = 0
    config.mlp_layer_types = ["sparse"] * 3
    lm = LanguageModel("glm", AutoModelForCausalLM.from_config(config).eval(), tokenizer())
    model = with_adapter(lm, 2, 4, layers_from(lm, 2))
    learned = {name for name, p in model.named_parameters() if p.requires_grad}
    assert learned and all(".layers.2." in name for name in learned)
    assert any(".experts." in name for name in learned)
    answer_loss(LanguageModel("glm", model.get_base_model(), tokenizer()), [([3, 4], [5, 6])])
