"""Quantised checkpoints load as the plain numbers that they stand for, merge into checkpoints that
load, or are refused."""

import json

import pytest
import torch
from safetensors.torch import load_file
from small_configs import small_config
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

from checkpoints import fp8, mxfp4, rewrite, save, veneer_of, with_tensors
from tiny import ARCHITECTURES, tiny, tokenizer
from veneer.foundation.errors import InputError
from veneer.head.merge import merge
from veneer.models.head import find_backbone_and_head
from veneer.models.load import load_model

pytest.importorskip("accelerate", reason="the library needs it to read FP8 and MXFP4")
GPT_OSS = {
    "hidden_size": 64,
    "intermediate_size": 64,
    "head_dim": 16,
    "num_local_experts": 2,
    "num_experts_per_tok": 1,
    "sliding_window": 16,
}
QWEN3_MOE = {
    "moe_intermediate_size": 16,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "head_dim": 16,
}


@pytest.fixture(params=["fp8", "fp8-experts", "mxfp4"])
def quantised(request, tmp_path, monkeypatch):
    """A folder with quantised weights, and the plain values (float32) that its
    tensors stand for."""
    monkeypatch.setitem(ARCHITECTURES, "gpt_oss", ("gpt_oss", GPT_OSS))
    monkeypatch.setitem(ARCHITECTURES, "qwen3_moe", ("qwen3_moe", QWEN3_MOE))
    kind = {"fp8": "llama", "fp8-experts": "qwen3_moe", "mxfp4": "gpt_oss"}[request.param]
    folder = save(tmp_path / "base", tiny(kind))
    return folder, (mxfp4 if kind == "gpt_oss" else fp8)(folder)


@pytest.mark.parametrize("dtype", ["auto", "float32", "bfloat16"])
def test_weights_are_what_the_quantised_numbers_stand_for(quantised, dtype):
    folder, plain = quantised
    lm = load_model(str(folder), device="cpu", dtype=dtype)
    wanted = torch.bfloat16 if dtype == "bfloat16" else torch.float32
    assert {p.dtype for p in lm.model.parameters()} == {wanted}
    state = lm.model.state_dict()
    direct = [n for n in plain if n in state]
    assert len(direct) > 10
    for name in direct:
        torch.testing.assert_close(state[name], plain[name].to(wanted), rtol=0, atol=0)
    assert lm.model.dequantised_from in ("fp8", "mxfp4")


def test_a_merged_checkpoint_holds_the_plain_numbers_and_loads(quantised, tmp_path):
    folder, plain = quantised
    veneer = veneer_of(load_model(str(folder), device="cpu"))
    out = merge(veneer, load_model(str(folder), device="cpu"), tmp_path / "m")
    config = json.loads((out / "config.json").read_text())
    assert "quantization_config" not in config and config["dtype"] == "float32"
    saved = load_file(out / "model.safetensors")
    assert set(saved) == set(plain)  # the names of a plain checkpoint: no blocks, no scales
    for name in set(plain) - {"lm_head.weight"}:
        torch.testing.assert_close(saved[name], plain[name], rtol=0, atol=0)
    model, info = AutoModelForCausalLM.from_pretrained(out, output_loading_info=True)
    assert not any(info[k] for k in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    ids = torch.arange(9)[None]
    base = load_model(str(folder), device="cpu")
    with torch.inference_mode():
        want = veneer.apply(base.head).logits(base.hidden(ids, torch.ones_like(ids)))
        torch.testing.assert_close(model(ids).logits, want, rtol=1e-5, atol=1e-4)
    method = base.model.dequantised_from
    assert json.loads((out / "run.json").read_text())["dequantised_from"] == method
    assert f"stored in {method} form" in (out / "README.md").read_text()


METHODS = {
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": 32},
    "awq": {"quant_method": "awq", "bits": 4, "group_size": 32},
    "bitsandbytes": {"quant_method": "bitsandbytes", "load_in_4bit": True},
    "hqq": {"quant_method": "hqq", "quant_config": {}},
    "aqlm": {"quant_method": "aqlm"},
    "compressed-tensors": {
        "quant_method": "compressed-tensors",
        "format": "float-quantized",
        "config_groups": {},
    },
    "exl3": {"quant_method": "exl3", "bits": 4.0},
}


@pytest.mark.parametrize("method", METHODS)
def test_a_kind_that_this_machine_cannot_read_is_one_sentence(method, tmp_path):
    folder = save(tmp_path / "base")
    with_tensors(
        folder, lambda t: {k.replace("q_proj.weight", "q_proj.qweight"): v for k, v in t.items()}
    )
    rewrite(folder / "config.json", lambda c: c.update(quantization_config=METHODS[method]))
    with pytest.raises(InputError) as error:
        load_model(str(folder), device="cpu")
    assert "\n" not in str(error.value)
    assert "without quantisation" in str(error.value) and "quantised" in str(error.value)


def test_scales_that_the_config_does_not_describe_are_not_left_out(tmp_path):
    """FP8 weights whose quantisation stands in another file would load as plain numbers, each too
    large by its scale."""
    folder = save(tmp_path / "base")
    fp8(folder)
    rewrite(
        folder / "config.json", lambda c: {k: v for k, v in c.items() if k != "quantization_config"}
    )
    with pytest.raises(
        InputError, match=r"quantised weights \(14 tensors such as .*weight_scale_inv\)"
    ):
        load_model(str(folder), device="cpu")


def test_a_kind_that_transformers_does_not_know_is_refused(tmp_path):
    """The library warns of it, and takes the numbers for the weights."""
    folder = save(tmp_path / "base")
    rewrite(folder / "config.json", lambda c: c.update(quantization_config={"quant_method": "my"}))
    with pytest.raises(InputError, match=r"quantised \(my\).*needs a version of transformers"):
        load_model(str(folder), device="cpu")


@pytest.mark.parametrize("stored", ["int8", "float8_e4m3fn"])
def test_quantised_numbers_that_nothing_describes_are_not_the_weights(stored, tmp_path):
    """The scales have names of their own."""
    folder = save(tmp_path / "base")

    def change(tensors):
        out = dict(tensors)
        for name in [n for n in tensors if n.endswith("_proj.weight")]:
            scaled = tensors[name] / tensors[name].abs().max() * 100
            out[name] = scaled.to(getattr(torch, stored))
            out[name.replace("weight", "my_scale")] = tensors[name].abs().max() / 100
        return out

    with_tensors(folder, change)
    with pytest.raises(InputError, match=r"proj.weight as (I8|F8_E4M3) numbers, .*no quantisation"):
        load_model(str(folder), device="cpu")


def test_a_quantised_text_part_of_a_multimodal_model_is_plain_too(tmp_path):
    """Its settings stand in `text_config` (Kimi K2.5)."""
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(small_config("mistral3"), dtype=torch.float32)
    model.save_pretrained(tmp_path / "base")
    tokenizer().save_pretrained(tmp_path / "base")
    plain = fp8(tmp_path / "base")

    def into_text(config):
        config["text_config"]["quantization_config"] = {
            **config.pop("quantization_config"),
            "modules_to_not_convert": ["lm_head", "vision_tower", "multi_modal_projector"],
        }

    rewrite(tmp_path / "base" / "config.json", into_text)
    with_tensors(tmp_path / "base", lambda t: without_fp8_of("vision_tower", t, plain))
    lm = load_model(str(tmp_path / "base"), device="cpu")
    assert lm.model.dequantised_from == "fp8"
    out = merge(veneer_of(lm), lm, tmp_path / "m")
    saved = load_file(out / "model.safetensors")
    for name, tensor in plain.items():
        torch.testing.assert_close(saved[name], tensor, rtol=0, atol=0)
    assert "quantization_config" not in (out / "config.json").read_text()


def without_fp8_of(part, tensors, plain):
    """The tensors with those of a part as plain numbers again."""
    mine = {n: plain[n] for n in tensors if n.startswith(part) and n in plain}
    return {n: t for n, t in tensors.items() if not n.startswith(part)} | mine


class OfAnotherKind(torch.Tensor):
    """As torchao's quantised tensors: they say that they are float32."""


@pytest.mark.parametrize(
    "weight",
    [
        torch.zeros(8, 4, dtype=torch.uint8),
        torch.zeros(8, 4).as_subclass(OfAnotherKind),
    ],
)
def test_a_quantised_output_head_is_named(weight):
    lm = tiny()
    lm.model.get_output_embeddings().weight = torch.nn.Parameter(weight, requires_grad=False)
    with pytest.raises(InputError, match="the output head of it is quantised"):
        find_backbone_and_head(lm.model, "it")


@pytest.mark.parametrize("quantised", [True, False])
def test_states_that_round_by_what_is_read_beside_them_are_causal(quantised, monkeypatch):
    """A model that quantises its activations (torchao's dynamic int8) rounds them otherwise in a
    longer text. A plain model that did so would read the tokens that follow."""
    lm = tiny()
    lm.model.is_quantized = quantised
    layer = lm.model.model.layers[0].mlp
    plain = layer.forward
    monkeypatch.setattr(layer, "forward", lambda x: plain(x) * (1 + 1e-3 * x.shape[1] / 16))
    if quantised:
        find_backbone_and_head(lm.model, "it")
    else:
        with pytest.raises(InputError, match="reads the tokens that follow"):
            find_backbone_and_head(lm.model, "it")


def test_quantised_weights_in_memory_are_not_merged(tmp_path):
    lm = tiny()
    veneer = veneer_of(lm)
    lm.model.config.quantization_config = METHODS["hqq"]
    with pytest.raises(InputError, match=r"quantised .hqq.*without quantisation"):
        merge(veneer, lm, tmp_path / "m")
    assert not list(tmp_path.iterdir())


NF4 = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}


def of_bitsandbytes(tensors: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    """What the numbers of a matrix stand for, by the published layout."""
    stored = tensors[name]
    if stored.dtype == torch.int8:
        return stored.float() * tensors[name.replace("weight", "SCB")][:, None] / 127
    state = next(v for k, v in tensors.items() if k.startswith(f"{name}.quant_state"))
    facts = json.loads(bytes(state.tolist()))
    scales = tensors[f"{name}.nested_quant_map"][tensors[f"{name}.absmax"].long()]
    nested = tensors[f"{name}.nested_absmax"].repeat_interleave(facts["nested_blocksize"])
    scales = scales * nested[: len(scales)] + facts["nested_offset"]
    halves = torch.stack([stored >> 4, stored & 15], -1).flatten().long()
    values = tensors[f"{name}.quant_map"][halves]
    return (values * scales.repeat_interleave(facts["blocksize"])).view(facts["shape"])


@pytest.mark.parametrize("words", [NF4, {"load_in_8bit": True}])
@torch.inference_mode()
def test_bitsandbytes_becomes_plain_numbers_and_merges(words, tmp_path):
    pytest.importorskip("bitsandbytes", reason="it quantises the model")
    from transformers import BitsAndBytesConfig

    sizes = {"hidden_size": 64, "intermediate_size": 128, "head_dim": 16}
    plain = save(tmp_path / "plain", tiny(**sizes))
    how = BitsAndBytesConfig(**words, llm_int8_skip_modules=["lm_head"])
    small = AutoModelForCausalLM.from_pretrained(plain, quantization_config=how, device_map="cpu")
    folder = tmp_path / "small"
    small.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    tensors = load_file(folder / "model.safetensors")
    lm = load_model(str(folder), device="cpu")
    assert lm.model.dequantised_from == "bitsandbytes"
    state = lm.model.state_dict()
    for name in ("self_attn.q_proj.weight", "mlp.down_proj.weight"):
        name = f"model.layers.1.{name}"
        torch.testing.assert_close(state[name], of_bitsandbytes(tensors, name), rtol=0, atol=1e-7)
    out = merge(veneer_of(lm), lm, tmp_path / "m")
    saved = load_file(out / "model.safetensors")
    assert set(saved) == set(load_file(plain / "model.safetensors"))
    assert torch.equal(saved[name], state[name])


@pytest.mark.parametrize("parts", [("weight._data", "weight._scale"), ("codes", "codebooks")])
def test_parts_of_quantised_weights_are_known_by_their_names(parts, tmp_path):
    """As quanto and AQLM save them: not "weights are missing"."""
    folder = save(tmp_path / "base")
    name = "model.layers.0.mlp.up_proj."

    def change(tensors):
        weight = tensors.pop(f"{name}weight")
        return {**tensors, f"{name}{parts[0]}": weight.to(torch.int8), f"{name}{parts[1]}": weight}

    with_tensors(folder, change)
    with pytest.raises(InputError, match=r"holds quantised weights \((a tensor|2 tensors) such as"):
        load_model(str(folder), device="cpu")


def test_the_quantisation_of_mlx_is_named(tmp_path):
    folder = save(tmp_path / "base")
    how = {"group_size": 32, "bits": 4}
    rewrite(folder / "config.json", lambda c: c.update(quantization=how, quantization_config=how))
    with pytest.raises(InputError, match=r"without quant_method, as MLX writes it, .*dequantize"):
        load_model(str(folder), device="cpu")
