"""A checkpoint whose tensors the library leaves unread is refused where the model would be another
one, and named otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSequenceClassification,
    BartConfig,
    BartForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
)

from checkpoints import rewrite, save
from tiny import tiny, tokenizer
from veneer.foundation.errors import InputError
from veneer.models.load import load_model

IDS = torch.arange(30, 50)[None]


def with_more(folder: Path, **tensors: torch.Tensor) -> Path:
    file = folder / "model.safetensors"
    save_file({**load_file(file), **tensors}, file, metadata={"format": "pt"})
    return folder


def biased(folder: Path, *, zero: bool) -> tuple[Path, torch.Tensor]:
    """A Llama with biases that its config switches off, and its logits with them."""
    lm = tiny("llama", attention_bias=True)
    with torch.no_grad():
        for name, p in lm.model.named_parameters():
            if name.endswith("bias"):
                p.zero_() if zero else p.normal_(0, 0.5)
        right = lm.model(input_ids=IDS).logits
    save(folder, lm)
    rewrite(folder / "config.json", lambda c: c.update(attention_bias=False))
    return folder, right


def test_biases_that_the_config_switches_off(tmp_path):
    """As in a Granite that was converted to a Llama: the library reads the weights alone."""
    folder, _ = biased(tmp_path / "model", zero=False)
    with pytest.raises(
        InputError, match=r"biases \(8 tensors such as .*k_proj.bias and .* no biases in"
    ):
        load_model(str(folder), device="cpu")


@torch.inference_mode()
def test_biases_of_zero_change_nothing(tmp_path, caplog):
    folder, right = biased(tmp_path / "model", zero=True)
    lm = load_model(str(folder), device="cpu")
    torch.testing.assert_close(lm.model(input_ids=IDS).logits, right)
    assert "veneer:" not in caplog.text


def test_biases_of_zero_of_a_model_of_the_hub(tmp_path, monkeypatch):
    """Its name is no folder; its files stand in the hub's cache."""
    commit, cache = "0" * 40, tmp_path / "models--org--name"
    biased(cache / "snapshots" / commit, zero=True)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load_model("org/name", device="cpu").name == "org/name"


def test_an_adapter_within_a_checkpoint(tmp_path):
    name = "model.layers.0.self_attn.q_proj.lora_A.weight"
    folder = with_more(save(tmp_path / "model"), **{name: torch.ones(4, 32)})
    with pytest.raises(InputError, match=r"an adapter that is not merged \(a tensor such as"):
        load_model(str(folder), device="cpu")


def test_other_tensors_are_named_and_those_that_a_model_computes_are_not(tmp_path, caplog):
    computed = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}
    load_model(str(with_more(save(tmp_path / "one"), **computed)), device="cpu")
    assert "veneer:" not in caplog.text
    more = {f"mtp.layers.{i}.proj.weight": torch.ones(3, 3) for i in range(3)}
    load_model(str(with_more(save(tmp_path / "two"), **more)), device="cpu")
    assert (
        "two holds 3 tensors such as mtp.layers.0.proj.weight and mtp.layers.1.proj.weight that"
        in caplog.text
    )


def test_layers_beyond_those_of_the_config(tmp_path, caplog):
    """They would be left out; layers for drafting tokens, with tensors of their own, may be. A
    part of a layer that is read is no further layer (shared keys of Gemma 3n)."""
    folder = save(tmp_path / "model")
    rewrite(folder / "config.json", lambda c: c.update(num_hidden_layers=1))
    with pytest.raises(
        InputError, match=r"holds 9 tensors such as model.layers.1.*, layers beyond"
    ):
        load_model(str(folder), device="cpu")
    draft = with_more(folder, **{"model.layers.1.eh_proj.weight": torch.ones(32, 64)})
    load_model(str(draft), device="cpu")
    assert "holds 10 tensors such as model.layers.1" in caplog.text


@pytest.mark.parametrize(
    "name", ["output.weight", "transformer.lm_head.weight", "embed_out.weight"]
)
def test_a_head_under_a_name_that_is_not_read(name, tmp_path):
    """With tied embeddings nothing is missing, and the model would be another one."""
    folder = save(tmp_path / "model", kind="llama-tied")
    rows = tiny("llama-tied").model.get_input_embeddings().weight.detach()
    load_model(str(with_more(folder, **{name: rows.clone()})), device="cpu")  # the same numbers
    with pytest.raises(InputError, match=f"holds {name}, of the size of an output head"):
        load_model(str(with_more(folder, **{name: rows + 1})), device="cpu")


@pytest.mark.parametrize("kind", ["llama", "llama-tied"])
def test_names_that_a_trainers_wrappers_made_longer(kind, tmp_path, caplog):
    """As DDP and torch.compile leave them: the library would make up the weights."""
    folder = save(tmp_path / "model", kind=kind)
    file = folder / "model.safetensors"
    longer = {k.replace("layers.1.", "layers.1._orig_mod."): v for k, v in load_file(file).items()}
    save_file(longer, file, metadata={"format": "pt"})
    says = r"layers.1.input_layernorm.weight; it holds model.layers.1._orig_mod.input_layernorm.w"
    with pytest.raises(InputError, match=says):
        load_model(str(folder), device="cpu")
    assert "works without them" not in caplog.text


def test_a_reward_model_is_no_language_model(tmp_path):
    """Its backbone has tied embeddings, so that a causal class would find a head."""
    base = save(tmp_path / "base", kind="qwen2")
    folder = tmp_path / "reward"
    AutoModelForSequenceClassification.from_pretrained(base).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    with pytest.raises(InputError, match=r"Qwen2ForSequenceClassification, which gives scores"):
        load_model(str(folder), device="cpu")


def seq2seq(kind: str) -> Any:
    rows = len(tokenizer())
    if kind == "t5":
        words = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
        return T5ForConditionalGeneration(T5Config(vocab_size=rows, **words))
    sides = {f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in SIDE.items()}
    return BartForConditionalGeneration(BartConfig(vocab_size=rows, d_model=32, **sides))


SIDE = {"layers": 2, "attention_heads": 4, "ffn_dim": 48}


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_an_encoder_decoder_is_refused_with_its_reason(kind, tmp_path):
    seq2seq(kind).save_pretrained(tmp_path / "model")
    tokenizer().save_pretrained(tmp_path / "model")
    with pytest.raises(InputError, match=r"an encoder-decoder model \(\w+ForConditionalGeneration"):
        load_model(str(tmp_path / "model"), device="cpu")
