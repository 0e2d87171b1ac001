"""A GGUF file gives the logits and the tokens of the model from which it was made, also where
transformers reads only part of what the file says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from checkpoints import LLAMA3_SCALING, save, veneer_of
from tiny import SMALL, tiny, tokenizer
from veneer.foundation.errors import InputError
from veneer.head.merge import merge
from veneer.models.formats import ChatFormat, PlainFormat
from veneer.models.gguf.write import interleave, write_gguf
from veneer.models.load import load_model
from veneer.prompts.prompt import Prompt

gguf = pytest.importorskip("gguf", reason="needs the package gguf: pip install 'veneer[gguf]'")

IDS = torch.randint(10, 250, (1, 60), generator=torch.Generator().manual_seed(1))
PLAIN = {"rope_type": "default", "rope_theta": 500.0}
LINEAR = {"rope_type": "linear", "rope_theta": 500.0, "factor": 4.0}
GEMMA = {
    "head_dim": 8,
    "query_pre_attn_scalar": 8,
    "sliding_window": 16,
    "tie_word_embeddings": True,
}


def small(kind: str, **words: Any) -> Any:
    """A random model of this type; its biases are not zero."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        kind,
        **{**SMALL, "vocab_size": len(tokenizer()) + 3, "max_position_embeddings": 512, **words},
        bos_token_id=0,
        eos_token_id=1,
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("bias"):
                p.normal_(0, 0.5)
            elif p.ndim == 2:
                p.mul_(6.0)
    return model


def write(
    path: Path,
    model: Any,
    kind: str,
    facts: dict[str, Any],
    more: dict[str, Any] | None = None,
    pre: str = "gpt-2",
) -> Path:
    """The model as llama.cpp's converter writes it. facts: what it writes for this type beyond the
    sizes; more: further tensors."""
    config, tok = model.config, tokenizer()
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    eps = getattr(config, "rms_norm_eps", None)
    facts = {
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        **({"attention.layer_norm_rms_epsilon": eps} if eps else {}),
        "attention.key_length": head,
        "attention.value_length": head,
        "rope.dimension_count": head,
        "rope.freq_base": 500.0,
        "vocab_size": config.vocab_size,
        **facts,
    }
    writer = gguf.GGUFWriter(path, kind)
    for key, value in facts.items():
        put = {int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
        put[type(value)](key if key.startswith("split.") else f"{kind}.{key}", value)
    experts = {"gate_up_proj": ("gate", "up"), "down_proj": ("down",)}
    names = [f"[PAD{i}]" for i in range(config.vocab_size)]
    for token, i in tok.get_vocab().items():
        names[i] = token
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(names)
    writer.add_token_types([3 if i < 7 else 1 for i in range(len(names))])
    merges = json.loads(tok.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(m) for m in merges])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    arch = next(a for a, name in gguf.MODEL_ARCH_NAMES.items() if name == kind)
    of = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        turned = heads.get(name.split(".")[-2]) if kind == "llama" else None
        values = interleave(tensor, turned) if turned else tensor
        one = "gemma" in kind or kind == "nemotron"
        values = values + 1 if one and name.endswith("norm.weight") else values
        if ".experts." in name:
            layer, parts = name.split(".")[2], experts[name.split(".")[-1]]
            for part, own in zip(parts, values.chunk(len(parts), dim=1), strict=True):
                writer.add_tensor(f"blk.{layer}.ffn_{part}_exps.weight", own.contiguous().numpy())
            continue
        writer.add_tensor(of.get_name(name, (".weight", ".bias")), values.contiguous().numpy())
    for name, values in (more or {}).items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@torch.inference_mode()
def check_logits(file: Path, model: Any) -> None:
    lm = load_model(str(file), device="cpu")
    ours = lm.head.logits(lm.hidden(IDS, torch.ones_like(IDS)))
    torch.testing.assert_close(ours, model(input_ids=IDS).logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rope", [LINEAR, {**LLAMA3_SCALING, "rope_theta": 500.0}])
def test_what_merge_writes_is_read_back(rope, tmp_path):
    lm = tiny("llama", head_dim=16, max_position_embeddings=512, rope_parameters=rope)
    file = write_gguf(save(tmp_path / "model", lm), tmp_path / "model.gguf", dtype="f32")
    check_logits(file, lm.model)


SCALED = "rope.scaling.type"
KINDS = {
    "llama-biases": ("llama", "llama", {"attention_bias": True, "mlp_bias": True}, {}),
    "qwen2-yarn": (
        "qwen2",
        "qwen2",
        {
            "rope_parameters": {
                **PLAIN,
                "rope_type": "yarn",
                "factor": 4.0,
                "original_max_position_embeddings": 64,
            }
        },
        {SCALED: "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 64},
    ),
    "gemma2-caps": (
        "gemma2",
        "gemma2",
        {**GEMMA, "attn_logit_softcapping": 5.0, "final_logit_softcapping": 2.0},
        {
            "attn_logit_softcapping": 5.0,
            "final_logit_softcapping": 2.0,
            "attention.sliding_window": 16,
        },
    ),
    "gemma3-linear": (
        "gemma3_text",
        "gemma3",
        {
            **GEMMA,
            "num_hidden_layers": 6,  # the last of them has full attention
            "rope_parameters": {
                "full_attention": LINEAR,
                "sliding_attention": {**PLAIN, "rope_theta": 10000.0},
            },
        },
        {SCALED: "linear", "rope.scaling.factor": 4.0, "attention.sliding_window": 16},
    ),
    "qwen3-heads": ("qwen3", "qwen3", {"head_dim": 16}, {}),  # not hidden / heads, nor 128
    "qwen3-experts": (
        "qwen3_moe",
        "qwen3moe",
        {
            "head_dim": 16,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 24,
            "norm_topk_prob": True,
        },
        {"expert_count": 4, "expert_used_count": 2, "expert_feed_forward_length": 24},
    ),
    "nemotron-epsilon": (
        "nemotron",
        "nemotron",
        {"norm_eps": 0.25, "rope_parameters": {**PLAIN, "partial_rotary_factor": 0.5}},
        {"attention.layer_norm_epsilon": 0.25, "rope.dimension_count": 4},
    ),
    "phi3-padding": ("phi3", "phi3", {"pad_token_id": 0}, {}),  # its config's own is 32000
}


@pytest.mark.parametrize("name", KINDS)
def test_what_the_library_leaves_out_is_read(name, tmp_path):
    kind, own, words, facts = KINDS[name]
    model = small(kind, **{"rope_parameters": PLAIN, **words})
    check_logits(write(tmp_path / "model.gguf", model, own, facts), model)


def test_what_no_config_expresses_is_one_sentence(tmp_path):
    """What transformers would leave out without a word."""
    llama, qwen = small("llama", rope_parameters=PLAIN), small("qwen2", rope_parameters=PLAIN)
    factors = np.linspace(1, 8, 4, dtype=np.float32)
    for number, (model, kind, facts, more, reason) in enumerate(
        [
            (llama, "llama", {"split.count": 2}, {}, "one of 2 parts"),
            (llama, "llama", {SCALED: "longrope"}, {}, r"positions in a way \(longrope\)"),
            (llama, "llama", {}, {"rope_freqs.weight": factors}, "factors of its own"),
            (
                qwen,
                "qwen2",
                {},
                {"blk.0.attn_output.bias": np.ones(32, np.float32)},
                "holds 1 biases .* blk.0.attn_output.bias",
            ),
        ]
    ):
        file = write(tmp_path / f"{number}.gguf", model, kind, facts, more)
        with pytest.raises(InputError, match=reason):
            load_model(str(file), device="cpu")


@torch.inference_mode()
def test_a_veneer_is_merged_into_it(tmp_path):
    rope = {**LLAMA3_SCALING, "rope_theta": 500.0}
    base = tiny("llama", head_dim=16, max_position_embeddings=512, rope_parameters=rope)
    file = write_gguf(save(tmp_path / "model", base), tmp_path / "model.gguf", dtype="f32")
    lm = load_model(str(file), device="cpu")
    veneer = veneer_of(lm)
    right = veneer.apply(lm.head).logits(lm.hidden(IDS, torch.ones_like(IDS)))
    out = merge(veneer, lm, tmp_path / "merged")
    logits = AutoModelForCausalLM.from_pretrained(out)(input_ids=IDS).logits
    torch.testing.assert_close(logits, right, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("pre", ["gpt-2", "smollm", "llama-bpe", "qwen2"])
def test_a_text_is_cut_as_the_file_says(pre, tmp_path):
    text = "It's 1045 and 37 08."
    right = {
        "gpt-2": "It|'s| 1045| and| 37| 08|.",
        "smollm": "It|'s| |1|0|4|5| and| |3|7| |0|8|.",
        "llama-bpe": "It|'s| |104|5| and| |37| |08|.",
        "qwen2": "It|'s| |1|0|4|5| and| |3|7| |0|8|.",
    }
    file = write(tmp_path / "m.gguf", small("llama", rope_parameters=PLAIN), "llama", {}, pre=pre)
    backend = load_model(str(file), device="cpu").tokenizer.backend_tokenizer
    cut = "|".join(word for word, _ in backend.pre_tokenizer.pre_tokenize_str(text))
    assert cut.replace("\u0120", " ") == right[pre]
    assert bool(backend.model.ignore_merges) == (pre == "llama-bpe")


def test_a_cut_that_nobody_knows_is_named(tmp_path, caplog):
    model = small("llama", rope_parameters=PLAIN)
    load_model(str(write(tmp_path / "m.gguf", model, "llama", {}, pre="some-new")), device="cpu")
    assert "cuts texts in the way 'some-new'" in caplog.text


def test_files_beside_it_are_not_its_own(tmp_path):
    """Transformers takes a tokenizer.json beside the file for that of the file, without its special
    tokens, and a generation_config.json too."""
    lm = tiny("llama", max_position_embeddings=512, rope_parameters=PLAIN)
    lm.model.generation_config.eos_token_id = [1, 2]
    folder = save(tmp_path / "model", lm)
    file = write_gguf(folder, folder / "model.gguf", dtype="f32")
    (folder / "generation_config.json").write_text('{"eos_token_id": 77}')
    read = load_model(str(file), device="cpu")
    assert read.stop_ids == lm.stop_ids == (1, 2)
    assert read.tokenizer.bos_token == lm.tokenizer.bos_token
    prompt = Prompt.from_text("1", "Tom has 3 apples.")
    for form in (PlainFormat(), ChatFormat()):
        assert form.encode(read.tokenizer, prompt) == form.encode(lm.tokenizer, prompt)
