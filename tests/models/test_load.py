"""Every kind of name leads to a model or to one sentence; pickles are not read and strangers'
code does not run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tiny import TEMPLATE, tiny
from veneer.foundation.errors import InputError, VeneerError
from veneer.lab import LAB_MODELS
from veneer.models.load import load_model

IDS = torch.randint(0, 300, (2, 9), generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A whole model folder; copy it before changing it."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    lm = tiny()
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def copy(saved, tmp_path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copy"))


@pytest.fixture
def offline(monkeypatch):
    """The hub cannot be reached; the variable is read once, when the library is imported."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def load(name, **how):
    return load_model(str(name), device="cpu", **how)


@torch.inference_mode()
def logits(lm) -> torch.Tensor:
    return lm.model(input_ids=IDS).logits


def refused(name, match: str, **how) -> str:
    """The message with which a name is refused: bad input, in one sentence and one line."""
    with pytest.raises(InputError, match=match) as caught:
        load(name, **how)
    message = str(caught.value)
    assert (
        "\n" not in message
        and "Traceback" not in message
        and ". " not in message.replace("e.g. ", "")
        and len(message) < 1200
    )
    return message


def change_json(path: Path, **words) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **words}))


# Names that lead to a model


def test_a_local_folder(saved):
    lm = load(saved)
    assert lm.name == str(saved) and not lm.model.training and lm.head.weight.dtype == torch.float32
    torch.testing.assert_close(logits(lm), logits(tiny()))
    assert lm.tokenizer.chat_template == TEMPLATE
    assert load(saved, dtype="bfloat16").head.weight.dtype == torch.bfloat16


@pytest.mark.parametrize("name", LAB_MODELS)
def test_embedded_models(name):
    lm = load(name)
    assert lm.name == name and lm.tokenizer.chat_template
    assert lm.tokenizer.get_vocab() == load("lab:base").tokenizer.get_vocab()


def test_a_config_that_asks_for_tuples(saved, copy):
    change_json(copy / "config.json", return_dict=False)
    assert torch.equal(logits(load(copy)), logits(load(saved)))


def test_an_unknown_embedded_model_is_refused_with_the_known_ones():
    assert all(name in refused("lab:nothing", "no embedded model") for name in LAB_MODELS)


def test_a_gguf_file(tmp_path):
    pytest.importorskip("gguf", reason="needs the package gguf: pip install 'veneer[gguf]'")
    from llama_gguf import save
    from veneer.models.gguf.write import write_gguf

    folder = save(tmp_path / "model")
    file = write_gguf(folder, tmp_path / "model.gguf")
    torch.testing.assert_close(logits(load(file)), logits(load(folder)), rtol=1e-4, atol=1e-4)
    file.write_bytes(file.read_bytes()[:3000])
    refused(file, "cannot be loaded")
    (tmp_path / "no.gguf").write_text("not a GGUF file")
    refused(tmp_path / "no.gguf", "cannot be loaded")
    refused(tmp_path / "nowhere.gguf", "there is no file")


# Adapters


def make_adapter(
    folder: Path,
    base: str | None,
    *,
    seed: int = 3,
    targets: tuple[str, ...] = ("q_proj", "v_proj"),
) -> Path:
    """A LoRA adapter with random weights that names `base`."""
    peft = pytest.importorskip("peft", reason="needs the package peft: pip install 'veneer[peft]'")
    torch.manual_seed(seed)
    config = peft.LoraConfig(
        r=2,
        lora_alpha=4,
        target_modules=list(targets),
        init_lora_weights=False,
        task_type="CAUSAL_LM",
    )
    peft.get_peft_model(tiny().model, config).save_pretrained(folder)
    change_json(folder / "adapter_config.json", base_model_name_or_path=base)
    return folder


def test_an_adapter_names_its_base(saved, tmp_path):
    adapter = make_adapter(tmp_path / "a", str(saved))
    lm = load(adapter)
    assert lm.name == str(adapter)
    assert not any("lora" in n for n, _ in lm.model.named_parameters())
    scale = 4 / 2
    weights = load_file(adapter / "adapter_model.safetensors")
    (up,) = [w for k, w in weights.items() if "layers.1.self_attn.v_proj" in k and "lora_B" in k]
    (down,) = [w for k, w in weights.items() if "layers.1.self_attn.v_proj" in k and "lora_A" in k]
    weight, before = (m.model.model.layers[1].self_attn.v_proj.weight for m in (lm, tiny()))
    torch.testing.assert_close(weight, before + scale * up @ down)
    assert (logits(lm) - logits(tiny())).abs().max() > 0.01


def test_an_adapter_is_given_its_base_by_name(saved, tmp_path, offline):
    adapter = make_adapter(tmp_path / "a", "nobody-at-all/no-such-base")
    sentence = refused(adapter, "names the base 'nobody-at-all/no-such-base', which does not load")
    assert f"{adapter}@BASE" in sentence
    named = load(f"{adapter}@{saved}")
    assert named.name == f"{adapter}@{saved}"
    change_json(adapter / "adapter_config.json", base_model_name_or_path=str(saved))
    torch.testing.assert_close(logits(named), logits(load(adapter)))
    refused(f"{adapter}@{tmp_path / 'nowhere'}", "there is no folder")


@pytest.mark.parametrize("base", [None, "", 7])
def test_an_adapter_without_a_base_is_refused(base, tmp_path):
    adapter = make_adapter(tmp_path / "a", base)
    assert f"{adapter}@BASE" in refused(adapter, "names no base model")


def test_a_base_inside_the_adapters_folder(saved, tmp_path):
    adapter = make_adapter(tmp_path / "a", "base")
    shutil.copytree(saved, adapter / "base")
    assert load(adapter).name == str(adapter)


def test_an_adapter_of_another_shape_is_refused(tmp_path):
    adapter = make_adapter(tmp_path / "a", "lab:base")
    assert f"{adapter}@BASE" in refused(adapter, "does not fit the base 'lab:base'")


def test_an_adapter_that_lacks_weights_is_refused(saved, tmp_path):
    """The library only warns, and what is missing would have no effect."""
    adapter = make_adapter(tmp_path / "a", str(saved))
    weights = load_file(adapter / "adapter_model.safetensors")
    save_file(
        {k: v for k, v in weights.items() if "layers.1" not in k},
        adapter / "adapter_model.safetensors",
    )
    refused(adapter, "does not fit the base")


def test_damaged_and_pickled_adapters_are_refused(saved, tmp_path):
    adapter = make_adapter(tmp_path / "a", str(saved))
    whole = (adapter / "adapter_model.safetensors").read_bytes()
    (adapter / "adapter_model.safetensors").write_bytes(whole[: len(whole) // 2])
    refused(adapter, "does not fit the base")
    (adapter / "adapter_model.safetensors").unlink()
    torch.save({"x": torch.zeros(1)}, adapter / "adapter_model.bin")
    refused(adapter, "pickles are not read")
    make_adapter(tmp_path / "b", str(saved))
    (tmp_path / "b" / "adapter_config.json").write_text('{"r": ')
    refused(tmp_path / "b", "not valid JSON")
    (tmp_path / "b" / "adapter_config.json").write_text("[]")
    refused(tmp_path / "b", "names no base")


# Names that lead nowhere


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "a/b/c", "~/nowhere"])
def test_a_missing_folder(name, offline):
    refused(name, f"there is no folder {name}")


@pytest.mark.parametrize(
    "name", ["nobody-at-all/no-such-model", "no-such-model", "not a/hub id", "", "x" * 300, "a\0b"]
)
def test_a_name_that_the_hub_does_not_know(name, offline, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(name, "expected")


def test_unknown_devices_and_dtypes(saved):
    refused(saved, "unknown dtype 'int8'; expected auto, float32", dtype="int8")
    with pytest.raises(InputError, match="cannot be used here"):
        load_model(str(saved), device="abacus")


# Folders that hold something else


def test_pickled_weights_are_refused_unread(copy, tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    (copy / "model.safetensors").unlink()
    torch.save({"model.embed_tokens.weight": Trap()}, copy / "pytorch_model.bin")
    assert "safetensors" in refused(copy, r"only pickled weights \(pytorch_model.bin\)")
    assert not (tmp_path / "ran").exists()


def test_folders_that_lack_something(copy):
    (copy / "model.safetensors").rename(copy / "away")
    refused(copy, "holds no weights")
    (copy / "away").rename(copy / "model.safetensors")
    for file in copy.glob("tokenizer*"):
        file.unlink()
    refused(copy, "tokenizer")
    (copy / "config.json").unlink()
    refused(copy, "has no config.json")


@pytest.mark.parametrize(
    "damage",
    [lambda b: b[:5000], lambda b: b[:-1], lambda b: b[:100], lambda b: b"", lambda b: b[::-1]],
)
def test_damaged_weights_are_refused(copy, damage):
    file = copy / "model.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    refused(copy, "cannot be loaded")


@pytest.mark.parametrize("gone", ["lm_head.weight", "model.layers.0.mlp.up_proj.weight"])
def test_weights_that_are_missing_are_not_made_up(copy, gone):
    weights = load_file(copy / "model.safetensors")
    del weights[gone]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    refused(copy, f"lacks 1 of its weights.*e.g. {gone}")


def test_a_tied_head_is_not_missing(tmp_path):
    lm = tiny("llama-tied")
    lm.model.save_pretrained(tmp_path / "m")
    lm.tokenizer.save_pretrained(tmp_path / "m")
    assert "lm_head.weight" not in load_file(tmp_path / "m" / "model.safetensors")
    torch.testing.assert_close(logits(load(tmp_path / "m")), logits(lm))


def test_weights_of_another_shape_and_missing_shards(copy):
    weights = load_file(copy / "model.safetensors")
    weights["lm_head.weight"] = weights["lm_head.weight"][:-5].clone()
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    refused(copy, "in another shape than its config says, e.g. lm_head.weight")
    (copy / "model.safetensors").rename(copy / "model-00001-of-00002.safetensors")
    where = dict.fromkeys(weights, "model-00001-of-00002.safetensors") | {
        "lm_head.weight": "model-00002-of-00002.safetensors"
    }
    (copy / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": where})
    )
    refused(copy, "model-00002-of-00002.safetensors")


def test_weights_that_are_not_numbers_are_named(copy):
    weights = load_file(copy / "model.safetensors")
    weights["model.layers.0.mlp.up_proj.weight"][0] = float("nan")
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(VeneerError, match="not finite"):
        load(copy)


@pytest.mark.parametrize(
    "text",
    [
        '{"model_type": ',
        "[1]",
        "{}",
        '{"model_type": "no-such-type"}',
        '{"model_type": "t5"}',
        '{"model_type": 3}',
        "\x00\x01",
    ],
)
def test_a_config_of_something_else(copy, text):
    (copy / "config.json").write_text(text)
    refused(copy, "cannot be loaded|encoder-decoder")


@pytest.mark.parametrize(
    "words",
    [
        {"num_attention_heads": 0},
        {"hidden_size": "wide"},
        {"num_hidden_layers": 3},
        {"vocab_size": -1},
    ],
)
def test_a_config_that_does_not_fit(copy, words):
    change_json(copy / "config.json", **words)
    refused(copy, "cannot be loaded|lacks")


@pytest.mark.parametrize(
    "text",
    [
        '{"a":',
        '{"version": "1.0", "model": {"type": "Nope"}}',
        '{"version": "1.0", "added_tokens": [], "model": {}}',
    ],
)
def test_a_damaged_tokenizer(copy, text):
    (copy / "tokenizer.json").write_text(text)
    refused(copy, "cannot be loaded")


# Strangers' code

CODE = """
from pathlib import Path
Path({marker!r}).touch()
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
class C(LlamaConfig): model_type = "own"
class M(LlamaForCausalLM): config_class = C
class T(PreTrainedTokenizerFast): pass
"""


@pytest.fixture
def marker(tmp_path, monkeypatch) -> Path:
    """A file that planted code writes when it is run; nobody is at the keyboard to allow it."""
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked whether to run the code"))
    return tmp_path / "it-ran"


@pytest.mark.parametrize("known", [True, False])
def test_a_models_own_code_does_not_run(copy, marker, known):
    (copy / "own.py").write_text(CODE.format(marker=str(marker)))
    change_json(
        copy / "config.json", auto_map={"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"}
    )
    if known:  # an architecture that transformers has: loaded with its own class
        torch.testing.assert_close(logits(load(copy)), logits(tiny()))
    else:
        change_json(copy / "config.json", model_type="own", architectures=["M"])
        refused(copy, "needs code from its own repository")
    assert not marker.exists()


def test_a_tokenizers_own_code_does_not_run(copy, marker, saved, tmp_path):
    own = {"auto_map": {"AutoTokenizer": ["own.T", "own.T"]}, "tokenizer_class": "OwnTokenizer"}
    adapter = make_adapter(tmp_path / "a", str(saved))
    for file in saved.glob("*token*"):
        shutil.copy(file, adapter)
    for folder in (copy, adapter):
        (folder / "own.py").write_text(CODE.format(marker=str(marker)))
        change_json(folder / "tokenizer_config.json", **own)
        refused(folder, "needs code from its own repository")
        assert not marker.exists()


def test_the_planted_code_would_run_where_it_is_trusted(copy, marker, monkeypatch, tmp_path):
    """So that the marker's absence above means something."""
    monkeypatch.setattr(
        "transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules")
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path / "modules"), *sys.path])
    for name in [n for n in sys.modules if n.startswith("transformers_modules")]:
        monkeypatch.delitem(sys.modules, name)
    (copy / "own.py").write_text(CODE.format(marker=str(marker)))
    change_json(
        copy / "config.json",
        auto_map={"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"},
        model_type="own",
    )
    with contextlib.suppress(VeneerError):  # what it gives does not matter
        load(copy, trust_remote_code=True)
    assert marker.exists()


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ 1 / 0 }}",
        "{% if %}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
    ],
)
def test_a_hostile_chat_template_loads_harmlessly_and_is_refused_when_it_is_read(copy, template):
    from veneer.models.formats import ChatFormat
    from veneer.prompts.prompt import Prompt

    (copy / "chat_template.jinja").write_text(template)
    lm = load(copy)
    assert lm.tokenizer.chat_template == template
    assert lm.end_of_turn is None and lm.stop_ids == (lm.tokenizer.eos_token_id,)
    with pytest.raises(InputError, match="chat template refuses"):
        ChatFormat().encode(lm.tokenizer, Prompt.from_text("p", "a"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read(copy):
    copy.chmod(0)
    try:
        refused(copy, "expected")
    finally:
        copy.chmod(0o755)
