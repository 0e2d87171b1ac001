"""A low-rank veneer as a PEFT adapter: the same logits through peft, embeddings
untouched, tied or not."""

from __future__ import annotations

import json

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from tiny import tiny
from veneer.cli import main
from veneer.foundation.errors import InputError
from veneer.head.low_rank import save_lora
from veneer.head.veneer import Veneer
from veneer.models.load import load_model
from veneer.systems.system import System

IDS = torch.arange(5, 21)[None]


def low_rank(lm, rank: int = 3) -> Veneer:
    """On some rows, of a vocabulary without the last padding row."""
    draw = torch.Generator().manual_seed(2)
    size = lm.head.rows - 1
    rows = torch.arange(3, size, 2)
    A, B = (
        torch.randn(len(rows), rank, generator=draw),
        torch.randn(rank, lm.head.width, generator=draw),
    )
    return Veneer(
        type(lm.head)(lm.head.weight[:size]).hash(), size, None, rows, A, B, {"stop_ids": []}
    )


def logits(model) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=IDS).logits


@pytest.mark.parametrize("alpha", [1.0, 0.25])
@pytest.mark.parametrize(
    "kind", ["llama", "llama-tied", "gemma2", "granite", "gpt2", "gpt_neox", "phi"]
)
def test_peft_gives_the_same_logits(kind, alpha, tmp_path):
    lm = tiny(kind)
    veneer = low_rank(lm)
    out = save_lora(veneer, lm, tmp_path / "adapter", alpha=alpha)
    with torch.inference_mode():
        wanted = veneer.apply(lm.head, alpha).logits(lm.backbone(input_ids=IDS).last_hidden_state)
    before = lm.model.get_input_embeddings().weight.detach().clone()
    other = tiny(kind)
    adapted = PeftModel.from_pretrained(other.model, str(out))
    torch.testing.assert_close(logits(adapted), wanted, rtol=1e-4, atol=1e-4)
    assert torch.equal(adapted.get_base_model().get_input_embeddings().weight, before)
    assert not torch.allclose(logits(lm.model), wanted, atol=1e-2)
    config = json.loads((out / "adapter_config.json").read_text())
    assert config["r"] == config["lora_alpha"] == 3 and len(config["target_modules"]) == 1
    assert ("do not merge it" in (out / "README.md").read_text()) == (
        lm.config.tie_word_embeddings is not False
    )
    assert {tuple(t.shape) for t in load_file(out / "adapter_model.safetensors").values()} == {
        (3, 32),
        (lm.head.rows, 3),
    }


@pytest.mark.parametrize("kind", ["llama", "llama-tied"])
def test_an_adapter_of_the_head_loads_by_name(kind, tmp_path):
    """ADAPTER@BASE merges it in memory; a tied head is untied first, so the embeddings
    stay as they are."""
    lm = tiny(kind)
    veneer = low_rank(lm)
    lm.model.save_pretrained(tmp_path / "base")
    lm.tokenizer.save_pretrained(tmp_path / "base")
    out = save_lora(veneer, lm, tmp_path / "adapter")
    loaded = load_model(f"{out}@{tmp_path / 'base'}")
    system = System.of_model(lm, veneer)
    with torch.inference_mode():
        wanted = system.head.logits(lm.backbone(input_ids=IDS).last_hidden_state)
    torch.testing.assert_close(logits(loaded.model), wanted, rtol=1e-4, atol=1e-4)
    assert torch.equal(
        loaded.model.get_input_embeddings().weight, lm.model.get_input_embeddings().weight
    )


def test_what_a_lora_cannot_hold(tmp_path):
    lm = tiny()
    dense = Veneer(lm.head.hash(), lm.head.rows, torch.ones(lm.head.rows, lm.head.width))
    with pytest.raises(
        InputError, match=r"dense.*extract one with --rank, or merge without --lora"
    ):
        save_lora(dense, lm, tmp_path / "a")
    with pytest.raises(InputError, match="shifts logits by a constant"):
        save_lora(
            Veneer.of_bias(lm.head.hash(), lm.head.width, torch.ones(lm.head.rows)),
            lm,
            tmp_path / "a",
        )
    with pytest.raises(InputError, match="belongs to the unembedding"):
        save_lora(low_rank(tiny(seed=1)), lm, tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_the_command(tmp_path, capsys):
    lm = load_model("lab:base")
    draw = torch.Generator().manual_seed(2)
    A, B = (
        torch.randn(lm.head.rows, 2, generator=draw),
        torch.randn(2, lm.head.width, generator=draw),
    )
    veneer = Veneer(lm.head.hash(), lm.head.rows, A=A, B=B, facts={"stop_ids": []})
    veneer.save(tmp_path / "veneer")
    words = [
        "merge",
        str(tmp_path / "veneer"),
        "--base",
        "lab:base",
        "--out",
        str(tmp_path / "adapter"),
        "--lora",
    ]
    assert main(words) == 0 and "adapter: " in capsys.readouterr().out
    assert main(words) == 0 and "existing" in capsys.readouterr().out
    assert (
        main([*words, "--alpha", "2"]) == 2 and "another configuration" in capsys.readouterr().err
    )
    assert (
        main([*words, "--gguf", str(tmp_path / "x.gguf")]) == 2
        and "leave out --lora" in capsys.readouterr().err
    )
    loaded = load_model(str(tmp_path / "adapter"))
    with torch.inference_mode():
        wanted = veneer.apply(lm.head).logits(lm.backbone(input_ids=IDS).last_hidden_state)
    torch.testing.assert_close(logits(loaded.model), wanted, rtol=1e-4, atol=1e-3)
    Veneer(lm.head.hash(), lm.head.rows, torch.ones(lm.head.rows, lm.head.width)).save(
        tmp_path / "dense"
    )
    words[1], words[5] = str(tmp_path / "dense"), str(tmp_path / "none")
    assert main(words) == 2 and "the veneer is dense" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_head_whose_name_ends_another_modules(tmp_path):
    """BLT has a head within its patcher: an adapter of "lm_head" would be one of both, and Veneer
    itself refused it for the tensors that it lacks."""
    lm = tiny()
    lm.model.model.add_module("patcher", torch.nn.ModuleDict({"lm_head": torch.nn.Linear(4, 4)}))
    out = save_lora(low_rank(lm), lm, tmp_path / "adapter")
    assert json.loads((out / "adapter_config.json").read_text())["target_modules"] == "lm_head"
    adapted = PeftModel.from_pretrained(lm.model, str(out))
    assert [n for n, m in adapted.named_modules() if hasattr(m, "lora_A")] == [
        "base_model.model.lm_head"
    ]
