"""A folder whose files of weights disagree: a whole file beside shards, a tensor in two shards, an
index that does not name all, an expert that is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_configs import small_config
from transformers import AutoModelForCausalLM

from checkpoints import rewrite, save, sharded, with_tensors
from tiny import tiny, tokenizer
from veneer.foundation.errors import InputError
from veneer.models.load import load_model

INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"
IDS = torch.arange(30, 50)[None]


@torch.inference_mode()
def logits(folder: Path) -> torch.Tensor:
    return load_model(str(folder), device="cpu").model(input_ids=IDS).logits


@torch.inference_mode()
def test_a_whole_file_beside_the_shards_of_another_model_is_refused(tmp_path):
    """transformers would read the whole file, and vLLM the shards."""
    folder, other = save(tmp_path / "model"), tiny(seed=1).model
    want = logits(folder)
    whole = load_file(folder / SINGLE)
    sharded(folder, whole)
    assert torch.equal(logits(folder), want)  # the same numbers twice
    sharded(folder, other.state_dict())
    with pytest.raises(InputError, match=r"lm_head.weight twice.* in model.safetensors and in mod"):
        load_model(str(folder), device="cpu")
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert torch.equal(logits(folder), want)  # an old index, whose shards no engine can read


def test_numbers_that_differ_by_their_rounding_alone_are_one_model(tmp_path):
    folder = save(tmp_path / "model")
    sharded(folder, {k: v.bfloat16() for k, v in load_file(folder / SINGLE).items()})
    load_model(str(folder), device="cpu")


def test_the_files_that_an_index_beside_a_whole_file_names_elsewhere_are_not_read(tmp_path):
    folder, other = save(tmp_path / "model"), save(tmp_path / "other", seed=1)
    places = {"lm_head.weight": f"../other/{SINGLE}", "b": str(other / SINGLE), "c": "/dev/stdin"}
    (folder / INDEX).write_text(json.dumps({"weight_map": places}))
    load_model(str(folder), device="cpu")


@torch.inference_mode()
def test_a_tensor_in_two_shards_is_refused_unless_both_are_equal(tmp_path):
    folder = save(tmp_path / "model")
    tensors = load_file(folder / SINGLE)
    want = logits(folder)
    one, two = sharded(folder, tensors)
    (folder / SINGLE).unlink()
    for change in (0.0, 1.0):
        twice = {**load_file(two), "lm_head.weight": tensors["lm_head.weight"] + change}
        save_file(twice, two, metadata={"format": "pt"})
        if not change:
            assert torch.equal(logits(folder), want)
    with pytest.raises(InputError, match=rf"lm_head.weight twice.*{one.name} and in {two.name}"):
        load_model(str(folder), device="cpu")


@torch.inference_mode()
@pytest.mark.parametrize("gone", ["model.norm.weight", "model.layers.0.mlp.up_proj.weight"])
def test_an_index_that_names_not_every_tensor(gone, tmp_path):
    """The tensor is read from its file; where it is in none, the checkpoint is not whole."""
    folder = save(tmp_path / "model")
    want, tensors = logits(folder), load_file(folder / SINGLE)
    files = sharded(folder, tensors)
    (folder / SINGLE).unlink()

    def forget(index):
        del index["weight_map"][gone]

    rewrite(folder / INDEX, forget)
    assert torch.equal(logits(folder), want)
    for file in files:
        kept = {k: v for k, v in load_file(file).items() if k != gone}
        save_file(kept, file, metadata={"format": "pt"})
    with pytest.raises(InputError, match=f"lacks 1 of its weights.*{gone}"):
        load_model(str(folder), device="cpu")


def test_an_expert_that_lacks_a_matrix_is_refused_in_plain_words(tmp_path):
    folder, gone = tmp_path / "model", "model.layers.1.block_sparse_moe.experts.0.w1.weight"
    AutoModelForCausalLM.from_config(small_config("mixtral")).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    load_model(str(folder), device="cpu")
    with_tensors(folder, lambda tensors: {k: v for k, v in tensors.items() if k != gone})
    with pytest.raises(InputError, match=r"lacks some of the tensors that are put together"):
        load_model(str(folder), device="cpu")
