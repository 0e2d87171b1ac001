"""Adapters as plain weights: the logits of PEFT's own unmerged model, whatever the
adapter changes."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tiny import SMALL, tiny, tokenizer
from veneer.foundation.errors import InputError
from veneer.models.formats import PlainFormat
from veneer.models.load import load_model
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.systems.system import System

peft = pytest.importorskip("peft", reason="needs the package peft: pip install 'veneer[peft]'")
HEADS = {"tied": "llama-tied", "untied": "llama"}


def bases(folder: Path) -> dict[str, Path]:
    folders = {}
    for name, kind in HEADS.items():
        folders[name] = folder / name
        lm = tiny(kind)
        lm.model.save_pretrained(folders[name])
        lm.tokenizer.save_pretrained(folders[name])
    return folders


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> dict[str, Path]:
    return bases(tmp_path_factory.mktemp("bases"))


@torch.inference_mode()
def logits(model) -> torch.Tensor:
    return model(input_ids=torch.arange(model.get_input_embeddings().weight.shape[0])[None]).logits


def adapt(model, config, folder: Path, base: Path | str, *, rows: bool = False) -> torch.Tensor:
    """Save an adapter with random weights; gives the unmerged logits over every token. rows: also
    save the embeddings, as PEFT does for a base whose size on the hub differs."""
    adapted = peft.get_peft_model(model, config).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for name, p in adapted.named_parameters():
            if p.requires_grad:
                p.add_(torch.randn_like(p) * (0.02 if "vera" in name or "oft" in name else 0.2))
    adapted.save_pretrained(folder, save_embedding_layers=rows)
    written = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(
        json.dumps({**written, "base_model_name_or_path": str(base)})
    )
    return logits(adapted)


def lora(*targets: str, **words):
    return peft.LoraConfig(
        task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules=list(targets), **words
    )


KINDS = {
    "embeddings": lambda: lora("q_proj", "embed_tokens"),
    "head": lambda: lora("q_proj", "lm_head"),
    "embeddings and head": lambda: lora("embed_tokens", "lm_head"),
    "saved embeddings": lambda: lora("q_proj", modules_to_save=["embed_tokens"]),
    "saved head": lambda: lora("q_proj", modules_to_save=["lm_head"]),
    "saved embeddings and head": lambda: lora(
        "q_proj", modules_to_save=["embed_tokens", "lm_head"]
    ),
    "trained tokens": lambda: lora("q_proj", trainable_token_indices=[5, 17, 300]),
    "trained tokens alone": lambda: peft.TrainableTokensConfig(
        token_indices=[5, 17], target_modules=["embed_tokens"]
    ),
    "DoRA": lambda: lora("q_proj", "embed_tokens", use_dora=True),
    "DoRA of the head": lambda: lora("q_proj", "lm_head", use_dora=True),
    "rsLoRA": lambda: lora("q_proj", "embed_tokens", use_rslora=True),
    "biases": lambda: lora("q_proj", "lm_head", bias="lora_only"),
    "IA3": lambda: peft.IA3Config(
        task_type="CAUSAL_LM",
        target_modules=["q_proj", "down_proj"],
        feedforward_modules=["down_proj"],
    ),
    "LoHa": lambda: peft.LoHaConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj"]),
    "OFT": lambda: peft.OFTConfig(
        task_type="CAUSAL_LM", r=4, oft_block_size=0, target_modules=["q_proj"]
    ),
    "norms": lambda: peft.LNTuningConfig(task_type="CAUSAL_LM", target_modules=["input_layernorm"]),
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("kind", KINDS)
def test_merged_logits_are_pefts_unmerged_ones(kind, head, saved, tmp_path):
    want = adapt(tiny(HEADS[head]).model, KINDS[kind](), tmp_path / "a", saved[head])
    lm = load_model(str(tmp_path / "a"), device="cpu")
    torch.testing.assert_close(logits(lm.model), want, rtol=1e-4, atol=1e-3)
    ids = torch.arange(lm.head.rows)[None]
    with torch.inference_mode():
        ours = lm.head.logits(lm.hidden(ids, torch.ones_like(ids)))
    torch.testing.assert_close(ours, want, rtol=1e-4, atol=1e-3)
    assert (want - logits(tiny(HEADS[head]).model)).abs().max() > 0.01
    weights = [
        layer.weight
        for layer in (lm.model.get_input_embeddings(), lm.model.get_output_embeddings())
    ]
    # as a checkpoint says it
    assert lm.model.config.tie_word_embeddings is (weights[0].data_ptr() == weights[1].data_ptr())


def added(head: str, multiple: int | None = None):
    """A model with six tokens more than base has rows for, and its tokenizer."""
    lm, tok = tiny(HEADS[head]), copy.deepcopy(tokenizer())
    tok.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tok.add_tokens([f"<new{i}>" for i in range(7)])
    lm.model.resize_token_embeddings(len(tok), pad_to_multiple_of=multiple, mean_resizing=False)
    return lm.model, tok


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("multiple", [None, 64])
@pytest.mark.parametrize(
    "kind",
    ["saved embeddings and head", "embeddings and head", "trained tokens", "nothing but rows"],
)
def test_an_adapter_that_adds_tokens_brings_its_rows(kind, multiple, head, saved, tmp_path):
    model, tok = added(head, multiple)
    config = {
        "trained tokens": lambda: lora(
            "q_proj", trainable_token_indices=[len(tok) - 1, len(tok) - 2]
        ),
        "nothing but rows": lambda: lora("q_proj"),
    }.get(kind) or KINDS[kind]
    want = adapt(model, config(), tmp_path / "a", saved[head], rows="saved" not in kind)
    tok.save_pretrained(tmp_path / "a")
    lm = load_model(str(tmp_path / "a"), device="cpu")
    assert (
        lm.head.rows == want.shape[-1]
        and lm.readable == want.shape[1]
        and len(lm.tokenizer) == len(tok)
    )
    torch.testing.assert_close(logits(lm.model), want, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("head", HEADS)
def test_copies_that_the_library_saves_twice(head, saved, tmp_path):
    """By itself it saves resized embeddings under their own name beside `modules_to_save`."""
    model, tok = added(head, 64)
    config = KINDS["saved embeddings and head"]()
    want = adapt(model, config, tmp_path / "a", saved[head], rows=True)
    tok.save_pretrained(tmp_path / "a")
    file = tmp_path / "a" / "adapter_model.safetensors"
    tensors = load_file(file)
    copy_of_head = "base_model.model.lm_head.modules_to_save.weight"
    assert torch.equal(tensors[copy_of_head], tensors["base_model.model.lm_head.weight"])
    lm = load_model(str(tmp_path / "a"), device="cpu")
    torch.testing.assert_close(logits(lm.model), want, rtol=1e-4, atol=1e-3)
    save_file({**tensors, copy_of_head: tensors[copy_of_head] + 1}, file)
    with pytest.raises(InputError, match=r"brings 1 tensors .*lm_head.modules_to_save.weight"):
        load_model(str(tmp_path / "a"), device="cpu")


def test_rows_that_were_not_saved_are_named(saved, tmp_path, caplog):
    """The head of the new tokens was random while the adapter was trained: nobody
    can have it again."""
    model, tok = added("untied")
    want = adapt(
        model, lora("q_proj", modules_to_save=["embed_tokens"]), tmp_path / "a", saved["untied"]
    )
    tok.save_pretrained(tmp_path / "a")
    lm = load_model(str(tmp_path / "a"), device="cpu")
    rows = tiny().head.rows
    torch.testing.assert_close(logits(lm.model)[..., :rows], want[..., :rows], rtol=1e-4, atol=1e-3)
    assert f"adds {len(tok) - rows} tokens but brings no rows of the head" in caplog.text
    weight = lm.head.weight
    torch.testing.assert_close(weight[rows:], weight[:rows].mean(0).expand(len(tok) - rows, -1))


def test_a_token_that_no_row_stands_for_is_refused_where_a_prompt_holds_it(saved, tmp_path):
    """The tokenizer beside the adapter is larger, but neither base nor adapter has rows for it."""
    _, tok = added("untied")
    adapt(tiny().model, lora("q_proj"), tmp_path / "a", saved["untied"])
    tok.save_pretrained(tmp_path / "a")
    lm = load_model(str(tmp_path / "a"), device="cpu")
    system = System("aligned", lm, PlainFormat(), lm.stop_ids)
    assert system.prompt_tokens([Prompt.from_text("p", "How do I")])
    with pytest.raises(
        InputError,
        match=r"prompt 'p' holds '<new6>' \(id \d+\), but .* has only \d+ rows in its embeddings",
    ):
        system.prompt_tokens([Prompt.from_text("p", "How do I <new6>")])


def test_a_pair_whose_aligned_side_says_added_tokens_is_one_sentence(saved, tmp_path):
    model, tok = added("untied")
    adapt(
        model,
        lora("q_proj", modules_to_save=["embed_tokens", "lm_head"]),
        tmp_path / "a",
        saved["untied"],
    )
    tok.save_pretrained(tmp_path / "a")
    with pytest.raises(InputError, match=r"'<new\d>' \(id \d+\) is missing from"):
        Pair(
            load_model(str(saved["untied"]), device="cpu"),
            load_model(str(tmp_path / "a"), device="cpu"),
        )


def test_a_lora_on_the_embeddings_of_another_family(tmp_path):
    """huggingface/peft#1554: Mamba calls them `embeddings`, and its head is tied."""
    lm = tiny("mamba", tie_word_embeddings=True)
    lm.model.save_pretrained(tmp_path / "base")
    lm.tokenizer.save_pretrained(tmp_path / "base")
    config = lora("x_proj", "embeddings", "in_proj", use_rslora=True)
    want = adapt(lm.model, config, tmp_path / "a", tmp_path / "base", rows=True)
    adapted = load_model(str(tmp_path / "a"), device="cpu")
    torch.testing.assert_close(logits(adapted.model), want, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    "config",
    [
        lambda: peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
        lambda: peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
        lambda: peft.PromptEncoderConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
        lambda: peft.AdaptionPromptConfig(task_type="CAUSAL_LM", adapter_len=4, adapter_layers=1),
    ],
    ids=["prompt", "prefix", "p-tuning", "adaption-prompt"],
)
def test_learnt_prompts_cannot_be_merged(config, saved, tmp_path):
    peft.get_peft_model(tiny().model, config()).save_pretrained(tmp_path / "a")
    written = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    (tmp_path / "a" / "adapter_config.json").write_text(
        json.dumps({**written, "base_model_name_or_path": str(saved["untied"])})
    )
    with pytest.raises(
        InputError,
        match=r"is of the kind [A-Z_]+: it steers the model by learnt inputs .* cannot be merged",
    ):
        load_model(str(tmp_path / "a"), device="cpu")


def test_a_kind_that_depends_on_its_input_is_refused(saved, tmp_path):
    """Poly mixes its matrices by task."""
    config = peft.PolyConfig(
        task_type="CAUSAL_LM", target_modules=["q_proj"], r=2, n_tasks=2, n_skills=2, n_splits=1
    )
    adapted = peft.get_peft_model(tiny().model, config)
    adapted.save_pretrained(tmp_path / "a")
    with pytest.raises(InputError, match="POLY"):
        load_model(f"{tmp_path / 'a'}@{saved['untied']}", device="cpu")


def test_a_kind_that_no_version_knows_is_refused(saved, tmp_path):
    adapt(tiny().model, lora("q_proj"), tmp_path / "a", saved["untied"])
    written = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    (tmp_path / "a" / "adapter_config.json").write_text(
        json.dumps({**written, "peft_type": "TELEPATHY"})
    )
    with pytest.raises(InputError, match="'TELEPATHY', which this version of PEFT does not know"):
        load_model(str(tmp_path / "a"), device="cpu")


def test_a_low_precision_base_is_merged_too(saved, tmp_path):
    adapt(tiny("llama-tied").model, lora("q_proj", "embed_tokens"), tmp_path / "a", saved["tied"])
    lm = load_model(str(tmp_path / "a"), device="cpu", dtype="bfloat16")
    assert lm.head.weight.dtype == torch.bfloat16 and lm.head.width == SMALL["hidden_size"]


def test_an_adapter_of_a_deeper_base_is_refused(saved, tmp_path):
    """PEFT leaves the layers that the base lacks out without a word."""
    deeper = tiny("llama", num_hidden_layers=4)
    adapt(deeper.model, lora("q_proj"), tmp_path / "a", saved["untied"])
    with pytest.raises(
        InputError, match=r"brings 4 tensors for which the base .* has no place, e.g. .*layers.2"
    ):
        load_model(str(tmp_path / "a"), device="cpu")


def test_an_adapter_merged_into_quantised_weights_says_how_far_it_is(
    saved, tmp_path, monkeypatch, caplog
):
    """bitsandbytes rounds the sum of weight and change to its few bits."""
    adapt(tiny().model, lora("q_proj"), tmp_path / "a", saved["untied"])
    merge = peft.LoraModel.merge_and_unload

    def rounding(self, *args, **words):
        whole = merge(self, *args, **words)
        whole.is_quantized = True
        with torch.no_grad():
            whole.get_output_embeddings().weight.mul_(1.5)
        return whole

    monkeypatch.setattr(peft.LoraModel, "merge_and_unload", rounding)
    load_model(str(tmp_path / "a"), device="cpu")
    assert "rounds the quantised weights of its base again: its logits differ" in caplog.text
