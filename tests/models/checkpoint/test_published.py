"""What lies beside a merged checkpoint's weights is base's own, in a form that engines of several
generations read."""

import json
import os
import stat

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from checkpoints import END, LLAMA3_SCALING, as_transformers_4, save, veneer_of
from tiny import tiny
from veneer.foundation.errors import VeneerError
from veneer.head.merge import merge
from veneer.models.checkpoint.published import older_rope, published_config, published_generation
from veneer.models.checkpoint.tokenizer_files import write_chat_template
from veneer.models.load import load_model


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def merged(base, out, **words):
    lm = load_model(str(base), device="cpu", **words)
    return merge(veneer_of(lm), lm, out)


@pytest.fixture
def older(tmp_path):
    """A base as transformers 4 published it, with a rotary base frequency and
    scaling of its own."""
    words = {
        "rope_theta": 500000.0,
        "rope_scaling": dict(LLAMA3_SCALING),
        "tie_word_embeddings": True,
    }
    return as_transformers_4(save(tmp_path / "base", **words))


def test_a_config_of_transformers_4_stays_one(older, tmp_path):
    own, out = read(older / "config.json"), read(merged(older, tmp_path / "m") / "config.json")
    changed = {
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "dtype": "float32",
        "architectures": ["LlamaForCausalLM"],
    }
    assert out == {k: v for k, v in own.items() if k != "_name_or_path"} | changed
    assert (
        out["rope_theta"] == 500000.0
        and out["rope_scaling"] == LLAMA3_SCALING
        and "rope_parameters" not in out
    )


def test_a_config_of_transformers_5_is_also_written_as_transformers_4_reads_it(tmp_path):
    base = save(tmp_path / "base", rope_theta=500000.0, rope_scaling=dict(LLAMA3_SCALING))
    own, out = read(base / "config.json"), read(merged(base, tmp_path / "m") / "config.json")
    assert out["rope_parameters"] == own["rope_parameters"]
    assert (
        out["rope_theta"] == 500000.0
        and out["rope_scaling"] == LLAMA3_SCALING
        and out["torch_dtype"] == "float32"
    )
    assert (
        AutoConfig.from_pretrained(tmp_path / "m").rope_parameters
        == AutoConfig.from_pretrained(base).rope_parameters
    )


def test_the_dtype_of_the_written_weights_stands_in_the_config(older, tmp_path):
    out = merged(older, tmp_path / "m", dtype="bfloat16")
    config = read(out / "config.json")
    assert config["torch_dtype"] == config["dtype"] == "bfloat16"
    assert {t.dtype for t in load_file(out / "model.safetensors").values()} == {torch.bfloat16}


def test_configs_within_a_config_are_untied_too():
    """Engines read the flag of a composite model from either place, and some only from the upper
    one, where it may be missing."""
    text = {
        "model_type": "llama",
        "vocab_size": 300,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
    }
    own = {
        "model_type": "llama",
        "text_config": text,
        "vision_config": {"torch_dtype": "bfloat16"},
        "transformers_version": "4.50.0",
    }
    out = published_config(own, tiny().model)
    assert out["tie_word_embeddings"] is False
    assert out["text_config"] == text | {"tie_word_embeddings": False, "torch_dtype": "float32"}
    assert out["vision_config"] == {"torch_dtype": "float32"}
    assert own["text_config"]["tie_word_embeddings"]  # not changed in place


ROPE = {
    "plain": (
        {"rope_type": "default", "rope_theta": 7.0},
        {"rope_theta": 7.0, "rope_scaling": None},
    ),
    "partial": (
        {"rope_type": "default", "rope_theta": 7.0, "partial_rotary_factor": 0.5},
        {"rope_theta": 7.0, "partial_rotary_factor": 0.5, "rope_scaling": None},
    ),
    "yarn": (
        {"rope_type": "yarn", "rope_theta": 7.0, "factor": 4.0},
        {"rope_theta": 7.0, "rope_scaling": {"rope_type": "yarn", "factor": 4.0}},
    ),
    "sections": (
        {"rope_type": "default", "rope_theta": 7.0, "mrope_section": [2, 2]},
        {"rope_theta": 7.0, "rope_scaling": {"rope_type": "default", "mrope_section": [2, 2]}},
    ),
    "by layer": (
        {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 9.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 7.0},
        },
        {
            "rope_theta": 9.0,
            "rope_scaling": {"rope_type": "linear", "factor": 8.0},
            "rope_local_base_freq": 7.0,
            "local_rope_theta": 7.0,
            "global_rope_theta": 9.0,
        },
    ),
}


@pytest.mark.parametrize("kind", ROPE)
def test_rotary_parameters_in_the_words_of_transformers_4(kind):
    now, then = ROPE[kind]
    assert older_rope(now) == then


def test_the_tokenizer_files_are_base_s_own(older, tmp_path):
    (older / "added_tokens.json").write_text("{}")
    out = merged(older, tmp_path / "m")
    assert (out / "tokenizer.json").read_bytes() == (older / "tokenizer.json").read_bytes()
    assert (out / "added_tokens.json").is_file()
    config = read(out / "tokenizer_config.json")
    assert (
        config == read(older / "tokenizer_config.json")
        and config["tokenizer_class"] == "PreTrainedTokenizerFast"
    )
    again, base = (AutoTokenizer.from_pretrained(p) for p in (out, older))
    assert again("How do I bake bread?")["input_ids"] == base("How do I bake bread?")["input_ids"]


@pytest.mark.parametrize("from_memory", [False, True])
def test_a_tokenizer_of_transformers_5_gets_the_names_of_transformers_4(from_memory, tmp_path):
    lm = tiny() if from_memory else load_model(str(save(tmp_path / "base")), device="cpu")
    out = merge(veneer_of(lm), lm, tmp_path / "m")
    config = read(out / "tokenizer_config.json")
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert (
        isinstance(config["additional_special_tokens"], list)
        and "extra_special_tokens" not in config
    )
    assert not {"backend", "is_local", "local_files_only"} & set(config)
    assert (
        config["chat_template"]
        == (out / "chat_template.jinja").read_text()
        == lm.tokenizer.chat_template
    )
    again = AutoTokenizer.from_pretrained(out)
    assert again.all_special_tokens == lm.tokenizer.all_special_tokens


def test_a_tokenizer_that_was_changed_after_loading_is_saved_as_it_is(older, tmp_path):
    lm = load_model(str(older), device="cpu")
    lm.tokenizer.chat_template = "{{ messages[0]['content'] }}"
    out = merge(veneer_of(lm), lm, tmp_path / "m")
    assert AutoTokenizer.from_pretrained(out).chat_template == lm.tokenizer.chat_template
    assert read(out / "tokenizer_config.json")["tokenizer_class"] == "PreTrainedTokenizerFast"


def test_a_new_chat_template_stands_wherever_engines_look(older, tmp_path):
    out = merged(older, tmp_path / "m")
    write_chat_template(out, "Q: {{ messages[0]['content'] }}\nA:")
    assert (
        read(out / "tokenizer_config.json")["chat_template"]
        == (out / "chat_template.jinja").read_text()
    )
    turn = [{"role": "user", "content": "Why?"}]
    assert (
        AutoTokenizer.from_pretrained(out).apply_chat_template(turn, tokenize=False)
        == "Q: Why?\nA:"
    )


GENERATION = {
    "vicuna": (
        {"temperature": 0.9, "top_p": 0.6, "max_length": 4096},
        {"max_length": 4096},
        ["temperature", "top_p"],
    ),
    "sampling": (
        {"do_sample": True, "temperature": 0.6, "top_p": 0.9},
        {"do_sample": True, "temperature": 0.6, "top_p": 0.9},
        [],
    ),
    "greedy with settings": (
        {"do_sample": False, "top_k": 20, "min_p": 0.1},
        {"do_sample": False},
        ["min_p", "top_k"],
    ),
    "beams": (
        {"length_penalty": 0.8, "repetition_penalty": 1.1},
        {"repetition_penalty": 1.1},
        ["length_penalty"],
    ),
    "neutral": ({"temperature": 1.0, "top_p": 1.0}, {"temperature": 1.0, "top_p": 1.0}, []),
}


@pytest.mark.parametrize("kind", GENERATION)
def test_generation_settings_of_base_stay_as_far_as_they_mean_something(kind, older, tmp_path):
    own, kept, left_out = GENERATION[kind]
    (older / "generation_config.json").write_text(
        json.dumps({"bos_token_id": 0, "eos_token_id": 1, **own})
    )
    out = merged(older, tmp_path / "m")
    assert read(out / "generation_config.json") == {
        "bos_token_id": 0,
        "eos_token_id": [1, END],
        **kept,
    }
    # what the library refuses for Vicuna's own
    GenerationConfig.from_pretrained(out).save_pretrained(tmp_path / "again")
    assert read(out / "run.json").get("generation_left_out", []) == sorted(
        left_out, key=lambda n: (n != "temperature", n)
    )


def test_settings_that_are_invalid_in_another_way_are_base_s_own_affair():
    settings, left_out = published_generation(
        {"max_new_tokens": -1, "temperature": 0.5, "do_sample": True}, tiny().model, [1]
    )
    assert (
        settings
        == {"max_new_tokens": -1, "temperature": 0.5, "do_sample": True, "eos_token_id": [1]}
        and left_out == []
    )


@pytest.mark.parametrize("umask", [0o022, 0o027])
def test_file_modes_follow_the_umask(umask, older, tmp_path):
    before = os.umask(umask)
    try:
        out = merged(older, tmp_path / "m")
    finally:
        os.umask(before)
    for path in (out, *out.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o777 if path.is_dir() else 0o666) & ~umask, (
            path
        )


def test_a_licence_comes_along(older, tmp_path):
    (older / "LICENSE").write_text("as is")
    assert (merged(older, tmp_path / "m") / "LICENSE").read_text() == "as is"


def test_base_in_several_files_with_tensors_that_the_library_does_not_read(tmp_path):
    """Layers for drafting tokens, and buffers that old versions stored."""
    base = save(tmp_path / "base")
    tensors = load_file(base / "model.safetensors")
    extra = {
        "model.layers.2.mtp.weight": torch.ones(3),
        "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4),
    }
    names = sorted(tensors)
    parts = {
        "model-00001-of-00002.safetensors": names[::2],
        "model-00002-of-00002.safetensors": names[1::2],
    }
    (base / "model.safetensors").unlink()
    weight_map = {}
    for file, keys in parts.items():
        held = {k: tensors[k] for k in keys} | (extra if "00002" in file else {})
        save_file(held, base / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(held, file)
    (base / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": weight_map})
    )
    out = merged(base, tmp_path / "m")
    assert read(out / "run.json")["unread"] == sorted(extra)
    saved = load_file(out / "model.safetensors")
    assert set(saved) == set(tensors)
    assert all(torch.equal(saved[n], tensors[n]) for n in names if n != "lm_head.weight")


def test_an_old_index_beside_a_whole_file_is_not_read(tmp_path):
    """transformers reads the whole file, and leaves the index of an earlier save in the folder. The
    shards it removes; where they stay, the folder holds two models (test_two_files.py)."""
    base = tmp_path / "base"
    tiny(seed=5).model.save_pretrained(base, max_shard_size="40KB")
    assert len(list(base.glob("model-*"))) > 1
    save(base)
    assert not list(base.glob("model-*")) and (base / "model.safetensors.index.json").is_file()
    out, whole = merged(base, tmp_path / "m") / "model.safetensors", base / "model.safetensors"
    ours, theirs = load_file(out), load_file(whole)
    assert all(torch.equal(ours[n], t) for n, t in theirs.items() if n != "lm_head.weight")


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (
            lambda t: {**t, "model.norm.weight": t["model.norm.weight"] + 1},
            r"differ from base beside its head \(tensors: 1\), e.g. model.norm.weight",
        ),
        (
            lambda t: {k: v for k, v in t.items() if k != "model.norm.weight"},
            "1 tensors missing.* e.g. model.norm.weight",
        ),
        (lambda t: {**t, "model.extra": torch.ones(2)}, "tensors .*model.extra"),
        (
            lambda t: {**t, "lm_head.weight": t["lm_head.weight"] + 1},
            "lm_head.weight of the saved checkpoint is not the merged head",
        ),
    ],
)
def test_a_checkpoint_that_is_not_base_with_the_new_head_is_not_written(
    harm, says, tmp_path, monkeypatch
):
    """The library's saving goes wrong here; what it wrote is really read back."""
    lm = load_model(str(save(tmp_path / "base")), device="cpu")
    veneer, own = veneer_of(lm), type(lm.model).save_pretrained

    def saves_wrongly(model, folder, **words):
        own(model, folder, **words)
        path = folder / "model.safetensors"
        save_file(harm(load_file(path)), path, metadata={"format": "pt"})

    monkeypatch.setattr(type(lm.model), "save_pretrained", saves_wrongly)
    with pytest.raises(VeneerError, match=says):
        merge(veneer, lm, tmp_path / "m")
    assert [p.name for p in tmp_path.iterdir()] == ["base"]


def test_an_adapter_s_own_weights_are_compared_not_its_base_s(tmp_path):
    peft = pytest.importorskip("peft")
    base = save(tmp_path / "base")
    model = peft.get_peft_model(
        tiny().model, peft.LoraConfig(target_modules=["q_proj"], init_lora_weights=False)
    )
    model.peft_config["default"].base_model_name_or_path = str(base)
    model.save_pretrained(tmp_path / "adapter")
    out = merged(tmp_path / "adapter", tmp_path / "m")
    name = "model.layers.0.self_attn.q_proj.weight"
    assert not torch.equal(
        load_file(out / "model.safetensors")[name], load_file(base / "model.safetensors")[name]
    )
    assert read(out / "config.json")["rope_theta"] == 10000.0
