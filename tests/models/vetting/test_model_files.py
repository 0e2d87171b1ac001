"""Hostile and damaged model folders: one sentence each, before a library acts on them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from veneer.foundation.errors import InputError
from veneer.lab import lab_folder
from veneer.models.load import load_model

SPLIT = {
    "type": "Split",
    "pattern": {"Regex": r"^(([a-zA-Z :?]+)+)+\d\d\d$"},
    "behavior": "Isolated",
    "invert": False,
}
DOUBLE = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}


@pytest.fixture
def folder(tmp_path) -> Path:
    at = tmp_path / "model"
    at.mkdir()
    for source in lab_folder("lab:base"):
        for path in Path(source).iterdir():
            if path.is_file():
                shutil.copyfile(path, at / path.name)
    return at


def edit(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


EDITS = {
    "config.json": {
        "a million layers": ({"num_hidden_layers": 10**6}, "num_hidden_layers = 1,000,000"),
        "no layers": ({"num_hidden_layers": -1}, "num_hidden_layers = -1; expected at least 1"),
        "a billion words": ({"vocab_size": 10**9}, "vocab_size = 1,000,000,000"),
        "wide": ({"hidden_size": 10**6}, "hidden_size = 1,000,000"),
        "labels": ({"num_labels": 10**9}, "num_labels = 1,000,000,000"),
        "end of another type": ({"eos_token_id": {"a": 1}}, "eos_token_id = {'a': 1}"),
    },
    "generation_config.json": {
        "half an id": ({"eos_token_id": 1.5}, "eos_token_id = 1.5; expected a token id"),
        "no number": ({"temperature": "x"}, "temperature = 'x'; expected a number"),
        "infinite": ({"max_length": "inf"}, "max_length = 'inf'; expected a whole number"),
        "truth as an id": ({"eos_token_id": True}, "expected a token id"),
        "biases": ({"sequence_bias": 5}, "expected a list or an object"),
    },
    "tokenizer_config.json": {
        "length": ({"model_max_length": "x"}, "model_max_length = 'x'; expected a number"),
        "template": ({"chat_template": 5}, "chat_template = 5; expected a template"),
        "token": ({"bos_token": 5}, "bos_token = 5; expected a text"),
    },
    "tokenizer.json": {
        "expression": ({"pre_tokenizer": SPLIT}, "runs without end or fails"),
        "growth": (
            {"normalizer": {"type": "Sequence", "normalizers": [DOUBLE] * 40}},
            "makes up to 1,099,511,627,776 characters of one",
        ),
        "front": (
            {"normalizer": {"type": "Prepend", "prepend": "a" * 10**5}},
            "puts 100,000 characters in front",
        ),
        "padding": ({"padding": {"strategy": {"Fixed": 10**9}}}, "pads each text to more than"),
    },
}


@pytest.mark.parametrize(
    ("file", "name"), [(file, name) for file, names in EDITS.items() for name in names]
)
def test_settings_without_bounds_or_of_wrong_types(file, name, folder):
    changes, words = EDITS[file][name]
    edit(folder / file, **changes)
    with pytest.raises(InputError) as raised:
        load_model(str(folder))
    assert words in str(raised.value)


def test_a_folder_of_a_stranger_that_is_right_loads(folder):
    """With the weights in another file that the index names, as large checkpoints are."""
    names = load_file(folder / "model.safetensors").keys()
    (folder / "model.safetensors").rename(folder / "shard.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, "shard.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert load_model(str(folder)).head.rows == load_model("lab:base").head.rows


def test_files_that_are_not_read_are_not_judged(folder):
    """Mistral's consolidated.safetensors, or a shard that an earlier save left: the library does
    not read them."""
    other = {"layers.0.attention.wq.weight": torch.ones(8, 8, dtype=torch.int8)}
    save_file(other, folder / "consolidated.safetensors")
    load_model(str(folder), device="cpu")


@pytest.mark.parametrize("kind", ["absolute", "above", "link", "missing"])
def test_an_index_that_points_out_of_its_folder(kind, folder, tmp_path):
    outside = tmp_path / "outside.safetensors"
    names = load_file(folder / "model.safetensors").keys()
    shutil.copyfile(folder / "model.safetensors", outside)
    (folder / "model.safetensors").rename(folder / "shard.safetensors")
    name, words = {
        "absolute": (str(outside), "expected names of"),
        "above": ("../outside.safetensors", "expected names of"),
        "link": ("link.safetensors", "leads out of the folder"),
        "missing": ("none.safetensors", "does not exist"),
    }[kind]
    if kind == "link":
        (folder / name).symlink_to(outside)
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, name)}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=words):
        load_model(str(folder))


@pytest.mark.parametrize(
    "file", ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"]
)
def test_a_pipe_or_device_in_the_place_of_a_file(file, folder):
    (folder / file).unlink()
    os.mkfifo(folder / file)
    with pytest.raises(InputError, match=r"a pipe|no config.json"):
        load_model(str(folder))
    (folder / file).unlink()
    (folder / file).symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"a device|no config.json"):
        load_model(str(folder))


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.complex64])
def test_weights_that_are_no_plain_numbers(dtype, folder):
    weights = load_file(folder / "model.safetensors")
    save_file({k: w.to(dtype) for k, w in weights.items()}, folder / "model.safetensors")
    with pytest.raises(InputError, match="expected floating-point weights"):
        load_model(str(folder))


EVIL = "(([a-z._]+)+)+#"
ADAPTERS = {
    "target": ({"target_modules": EVIL}, "as target_modules, which runs without end"),
    "rank": ({"rank_pattern": {EVIL: 4}}, "as rank_pattern, which runs without end"),
    "module": ({"megatron_config": {}, "megatron_core": "this"}, "a module to import"),
    "layers": ({"layer_replication": [[0, 4]] * 1000}, "until there are 4,000"),
    "steps": ({"init_lora_weights": "pissa_niter_1000000000"}, "at most 1,000 steps"),
    "token": ({"trainable_token_indices": [10**12]}, "trains the token 1,000,000,000,000"),
}


@pytest.mark.parametrize("name", ADAPTERS)
def test_hostile_adapters(name, tmp_path):
    pytest.importorskip("peft")
    changes, words = ADAPTERS[name]
    save_file({"x": torch.zeros(1)}, tmp_path / "adapter_model.safetensors")
    written = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "lab:base",
        "target_modules": ["q_proj"],
        "r": 2,
    }
    (tmp_path / "adapter_config.json").write_text(json.dumps(written | changes))
    with pytest.raises(InputError) as raised:
        load_model(str(tmp_path))
    assert words in str(raised.value)


def test_a_hostile_model_of_the_hub(folder, tmp_path, monkeypatch):
    """Its small files are vetted before its weights are fetched."""
    cache = tmp_path / "cache" / "models--a--b"
    snapshot = cache / "snapshots" / ("0" * 40)
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("0" * 40)
    edit(folder / "config.json", num_hidden_layers=10**6)
    snapshot.mkdir(parents=True)
    shutil.copyfile(folder / "config.json", snapshot / "config.json")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(InputError, match=r"a/b cannot be loaded: .* num_hidden_layers = 1,000,000"):
        load_model("a/b")
