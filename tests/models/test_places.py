"""A name that leads to no model's folder is one sentence that says what was probably meant."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from checkpoints import rewrite, save
from tiny import tiny
from veneer.foundation.errors import InputError
from veneer.models.load import load_model

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
SHARD = "model-00001-of-"


@pytest.fixture
def model(tmp_path) -> Path:
    return save(tmp_path / "model")


@pytest.fixture
def shards(tmp_path) -> Path:
    lm = tiny()
    lm.model.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    lm.tokenizer.save_pretrained(tmp_path / "shards")
    return tmp_path / "shards"


def refused(name: Path | str, words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        load_model(str(name), device="cpu")
    assert "\n" not in str(error.value)


def in_cache(hub: Path, model: Path) -> Path:
    """A model as the hub's cache holds it: names that are links to blobs. Returns its snapshot."""
    kept = hub / "models--org--name"
    snapshot = kept / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (kept / "blobs").mkdir()
    for number, path in enumerate(sorted(model.iterdir())):
        shutil.copy(path, kept / "blobs" / str(number))
        (snapshot / path.name).symlink_to(f"../../blobs/{number}")
    return snapshot


@torch.inference_mode()
def test_a_snapshot_of_the_cache_is_a_model(tmp_path, model):
    snapshot = in_cache(tmp_path / "hub", model)
    (tmp_path / "link").symlink_to(snapshot)
    ids = torch.arange(20, 40)[None]
    wanted = load_model(str(model), device="cpu").model(ids).logits
    for name in (f"{snapshot}/", str(tmp_path / "link")):
        assert torch.equal(load_model(name, device="cpu").model(ids).logits, wanted)


@pytest.mark.parametrize("inside", ["", "models--org--name", "models--org--name/snapshots"])
def test_a_folder_of_the_cache_names_the_snapshot(inside, tmp_path, model):
    snapshot = in_cache(tmp_path / "hub", model)
    refused(tmp_path / "hub" / inside, f"has no config.json, but {snapshot} has one: give that")


def test_a_trainers_folder_names_its_checkpoints(tmp_path, model):
    for step in (500, 1000):
        shutil.copytree(model, tmp_path / "out" / f"checkpoint-{step}")
    refused(tmp_path / "out", r"out/checkpoint-1000 has one \(and 1 more\): give that folder")


def test_the_folder_above_and_a_gguf_file_in_it_are_named(tmp_path, model):
    (model / "original").mkdir()
    (model / "original" / "params.json").write_text("{}")
    refused(model / "original", f"the folder above it has one: give {model}")
    (tmp_path / "gguf").mkdir()
    (tmp_path / "gguf" / "m.Q8_0.gguf").touch()
    refused(tmp_path / "gguf", "it holds m.Q8_0.gguf: give that file")


def test_the_format_of_its_author_is_not_read(model):
    (model / "model.safetensors").rename(model / "consolidated.safetensors")
    refused(model, r"holds consolidated.safetensors, .* format of the model's author")
    (model / "config.json").rename(model / "params.json")
    refused(model, r"no config.json \(it is in the format of the model's author")


NAMES = {
    "https://huggingface.co/org/name/tree/main": "the id of the model on the hub: org/name",
    "huggingface.co/org/name": "the id of the model on the hub: org/name",
    "~/models/llama": "only a shell reads ~ as the home folder",
    "C:\\models\\llama": "a path of Windows",
    "file:///models/llama": "write the path without the scheme",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_neither_a_folder_nor_an_id(name):
    refused(name, NAMES[name])


@pytest.mark.parametrize("name", ["模型 ü", "a@b", "a:b", "a=b", "-x", "[x]*", "x.gguf.d"])
def test_a_folder_may_have_any_name(name, tmp_path, model, monkeypatch):
    model.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for given in (name, str(tmp_path / name)):
        assert load_model(given, device="cpu").name == given


def test_shards_need_their_index_and_all_files(shards):
    first = next(iter(sorted(shards.glob(f"{SHARD}*"))))
    whole = first.read_bytes()
    first.write_bytes(whole[:-100])
    refused(shards, rf"{SHARD}.* was cut off \(its header names {len(whole):,} bytes")
    first.unlink()
    refused(shards, f"{SHARD}.* does not exist, but model.safetensors.index.json names it")
    (shards / "model.safetensors.index.json").unlink()
    refused(shards, "holds model-00002.*fetch model.safetensors.index.json too")


def test_shards_beside_a_whole_file_are_not_read(shards, caplog):
    """Shards without an index are left from another save; transformers takes the whole file."""
    (shards / "model.safetensors.index.json").unlink()
    tiny(seed=1).model.save_pretrained(shards.parent / "other")
    shutil.copy(shards.parent / "other" / "model.safetensors", shards)
    read = load_model(str(shards), device="cpu").model.state_dict()
    assert all(torch.equal(read[k], w) for k, w in tiny(seed=1).model.state_dict().items())
    assert f"also {SHARD}" in caplog.text and "model.safetensors alone is read" in caplog.text


def test_a_variant_is_renamed(model):
    (model / "model.safetensors").rename(model / "model.fp16.safetensors")
    refused(model, "if model.fp16.safetensors is the whole model, rename it to model.safetensors")


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_pointer_of_git_lfs_is_not_the_file(file, model):
    (model / file).write_text(POINTER)
    refused(model, f"{file} is a pointer of Git LFS, .* git lfs pull")


def test_weights_that_are_a_link_to_nowhere(model):
    (model / "model.safetensors").unlink()
    (model / "model.safetensors").symlink_to("/nowhere/weights")
    refused(model, r"model.safetensors cannot be read \(No such file")


def test_a_folder_without_a_tokenizer(model):
    for path in [*model.glob("*token*"), *model.glob("*.jinja")]:
        path.unlink()
    refused(model, "has no tokenizer; expected tokenizer.json")


def test_code_of_the_repository_needs_a_word(model):
    """As of Kimi, whose tokenizer is a program beside tiktoken.model."""
    (model / "tokenizer.json").unlink()
    (model / "tiktoken.model").write_text("IQ== 0\n")
    (model / "tokenization_own.py").write_text("raise SystemExit('this ran')")
    words = {"auto_map": {"AutoTokenizer": ["tokenization_own.Own", None]}}
    rewrite(model / "tokenizer_config.json", lambda c: {**words, "tokenizer_class": "Own"})
    refused(model, "code from its own repository, .* --trust-remote-code")
    assert json.loads((model / "config.json").read_text())["model_type"] == "llama"
