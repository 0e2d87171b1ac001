"""Write a plain Llama checkpoint as a GGUF file, so that a merged veneer also runs in
llama.cpp and its kin.

Checked against llama.cpp itself: same tokens, same top token. Reading GGUF is the
business of `load.py`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import AutoConfig

from veneer.foundation.errors import InputError, MissingExtra
from veneer.foundation.files import read_json, write_atomically
from veneer.models.gguf.config import llama3_factors
from veneer.models.gguf.vocabulary import GgufVocabulary, add_vocabulary, read_vocabulary

ARCHITECTURE = "LlamaForCausalLM"

# Hugging Face name of a module -> its GGUF name. Those of BLOCK stand in `model.layers.N`
# and in `blk.N`.
OUTER = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
BLOCK = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


class Target(NamedTuple):
    """Where a tensor goes: its GGUF name, its shape in the checkpoint, and its heads if rotary
    embeddings turn its rows."""

    name: str
    shape: tuple[int, ...]
    heads: int | None = None


class Source(NamedTuple):
    """A tensor of the checkpoint: the file that holds it, its name there, and where it goes."""

    file: Path
    name: str
    target: Target


def write_gguf(checkpoint: Path, out: Path, *, dtype: Literal["f32", "f16"] = "f32") -> Path:
    """Write the Hugging Face folder `checkpoint` (LlamaForCausalLM, byte-level BPE) as the GGUF
    file `out`; returns `out`.

    dtype: that of the matrices; norms and biases are always float32. One tensor is in memory at a
    time.
    Up to three tokens that end a response are kept (eos, eot, eom). Raises InputError, and leaves
    nothing behind, for what llama.cpp would compute or tokenise otherwise.
    """
    try:
        gguf = importlib.import_module("gguf")
    except ImportError:
        raise MissingExtra("gguf", "gguf", "writing GGUF") from None
    if dtype not in ("f32", "f16"):
        raise InputError(f"unknown GGUF dtype {dtype!r}; expected f32 or f16")
    if out.exists():
        raise InputError(
            f"{out} exists already; expected a new file: give another name or move it away"
        )
    config = _config(checkpoint)
    vocabulary = read_vocabulary(checkpoint, config, gguf.TokenType)
    sources = list(_sources(checkpoint, config))
    write_atomically(
        out, lambda part: _write(gguf, part, checkpoint, config, vocabulary, sources, dtype)
    )
    return out


def _write(
    gguf: Any,
    part: Path,
    checkpoint: Path,
    config: Any,
    vocabulary: GgufVocabulary,
    sources: list[Source],
    dtype: str,
) -> None:
    """Header, then metadata, then tensor by tensor: the writer never holds weights."""
    with closing(gguf.GGUFWriter(part, "llama")) as writer:
        writer.add_name(checkpoint.resolve().name)
        writer.add_file_type(
            gguf.LlamaFileType.ALL_F32 if dtype == "f32" else gguf.LlamaFileType.MOSTLY_F16
        )
        _add_shape(gguf, writer, config)
        add_vocabulary(writer, vocabulary)
        factors = _rope_factors(config)
        if factors is not None:
            writer.add_tensor_info(
                "rope_freqs.weight", factors.shape, factors.numpy().dtype, factors.numpy().nbytes
            )
        for source in sources:
            kind = _dtype(source.target, dtype)
            empty = torch.empty(0, dtype=kind).numpy().dtype
            size = torch.Size(source.target.shape).numel() * kind.itemsize
            writer.add_tensor_info(source.target.name, source.target.shape, empty, size)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        if factors is not None:
            writer.write_tensor_data(factors.numpy())
        for source in sources:
            writer.write_tensor_data(_read(source, _dtype(source.target, dtype)).numpy())


def _dtype(target: Target, dtype: str) -> torch.dtype:
    """llama.cpp computes norms and biases in float32 and expects them so."""
    return torch.float16 if dtype == "f16" and len(target.shape) == 2 else torch.float32


def _read(source: Source, dtype: torch.dtype) -> Tensor:
    """One tensor, in GGUF's order of rows."""
    with safe_open(source.file, framework="pt") as shard:
        tensor = shard.get_tensor(source.name)
    tensor = tensor.to(dtype)
    # NaN comes through; no second copy
    if not all(torch.isfinite(end) for end in tensor.aminmax()):
        raise InputError(
            f"{source.file}: {source.name} holds numbers that {str(dtype).removeprefix('torch.')} "
            "cannot; expected finite weights: write f32, or mend the checkpoint"
        )
    if source.target.heads is not None:
        tensor = interleave(tensor, source.target.heads)
    return tensor.contiguous()


def interleave(weight: Tensor, heads: int) -> Tensor:
    """weight (heads * d_head, ...): rows of each head from halves (0..d/2, d/2..d) to pairs (0,
    d/2, 1, d/2 + 1, ...).

    Rotary embeddings turn pairs of rows: Hugging Face pairs row i with row i + d/2, GGUF's Llama
    row 2i with row 2i + 1.
    """
    return weight.view(heads, 2, -1, *weight.shape[1:]).transpose(1, 2).reshape(weight.shape)


# ---- the shape of the model


def _config(checkpoint: Path) -> Any:
    """The checkpoint's config. Raises InputError for anything that llama.cpp's Llama would
    compute otherwise."""
    written = read_json(checkpoint / "config.json", "the config of a Hugging Face model folder")
    architectures, kind = written.get("architectures") or [ARCHITECTURE], written.get("model_type")
    if architectures != [ARCHITECTURE] or kind != "llama":
        raise InputError(
            f"{checkpoint} is {', '.join(architectures)} of model_type {kind}; GGUF is written for "
            f"{ARCHITECTURE} of model_type llama only: use llama.cpp's own converter for this one"
        )
    config = AutoConfig.from_pretrained(str(checkpoint))
    rope = config.rope_parameters
    limits: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "quantization_config": (written.get("quantization_config") and "set", (None,)),
        "hidden_act": (config.hidden_act, ("silu",)),
        "rope_type": (rope["rope_type"], ("default", "linear", "llama3")),
        "partial_rotary_factor": (rope.get("partial_rotary_factor"), (None, 1.0)),
    }
    for key, (value, allowed) in limits.items():
        if value not in allowed:
            choices = " or ".join("unset" if a is None else str(a) for a in allowed)
            raise InputError(
                f"{checkpoint}/config.json has {key} {value}; expected {choices}: use llama.cpp's "
                "own converter for this one"
            )
    return config


def _add_shape(gguf: Any, writer: Any, config: Any) -> None:
    rope = config.rope_parameters
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])


def _rope_factors(config: Any) -> Tensor | None:
    """What llama.cpp divides each rotary frequency by, (d_head / 2,), for Llama 3.1's scaling;
    None for the others."""
    rope = config.rope_parameters
    if rope["rope_type"] != "llama3":
        return None
    return torch.from_numpy(llama3_factors(rope, config.head_dim))


# ---- tensors


def _targets(config: Any) -> dict[str, Target]:
    """Name in the checkpoint -> target, for every tensor that a model of this config has."""
    d, ffn, rows = config.hidden_size, config.intermediate_size, config.vocab_size
    q, kv = (
        config.num_attention_heads * config.head_dim,
        config.num_key_value_heads * config.head_dim,
    )
    shapes = {
        "model.embed_tokens": (rows, d),
        "model.norm": (d,),
        "lm_head": (rows, d),
        "input_layernorm": (d,),
        "self_attn.q_proj": (q, d),
        "self_attn.k_proj": (kv, d),
        "self_attn.v_proj": (kv, d),
        "self_attn.o_proj": (d, q),
        "post_attention_layernorm": (d,),
        "mlp.gate_proj": (ffn, d),
        "mlp.up_proj": (ffn, d),
        "mlp.down_proj": (d, ffn),
    }
    heads = {
        "self_attn.q_proj": config.num_attention_heads,
        "self_attn.k_proj": config.num_key_value_heads,
    }
    biased = {"self_attn": config.attention_bias, "mlp": config.mlp_bias}
    out = {
        f"{ours}.weight": Target(f"{theirs}.weight", shapes[ours])
        for ours, theirs in OUTER.items()
        if not (ours == "lm_head" and config.tie_word_embeddings)
    }
    for layer in range(config.num_hidden_layers):
        for ours, theirs in BLOCK.items():
            name, target = f"model.layers.{layer}.{ours}", f"blk.{layer}.{theirs}"
            out[f"{name}.weight"] = Target(f"{target}.weight", shapes[ours], heads.get(ours))
            if biased.get(ours.split(".")[0]):
                out[f"{name}.bias"] = Target(f"{target}.bias", shapes[ours][:1], heads.get(ours))
    return out


def _sources(checkpoint: Path, config: Any) -> Iterator[Source]:
    """Every tensor with its file, in the files' order. Raises InputError where they are not
    those of the config."""
    targets = _targets(config)
    seen: set[str] = set()
    for file in _shards(checkpoint):
        try:
            with safe_open(file, framework="pt") as shard:
                shapes = {
                    name: tuple(shard.get_slice(name).get_shape())
                    for name in shard.keys()  # noqa: SIM118
                }
        except SafetensorError as error:
            raise InputError(
                f"{file} is not a whole safetensors file ({error}); save or fetch the "
                "checkpoint again"
            ) from None
        for name, shape in shapes.items():
            if name.endswith("rotary_emb.inv_freq") or (
                name == "lm_head.weight" and config.tie_word_embeddings
            ):
                continue  # computed from the config; a copy of the embedding
            target = targets.get(name)
            if target is None or target.shape != shape:
                expected = f"shape {target.shape}" if target else "no such tensor"
                raise InputError(
                    f"{file} holds {name} of shape {shape}, but {checkpoint}/config.json says "
                    f"{expected}; save the model again with save_pretrained"
                )
            seen.add(name)
            yield Source(file, name, target)
    missing = [name for name in targets if name not in seen]
    if missing:
        raise InputError(
            f"{checkpoint} lacks {len(missing)} of {len(targets)} tensors, the first {missing[0]}; "
            "expected those of its config.json: save the model again with save_pretrained"
        )


def _shards(checkpoint: Path) -> list[Path]:
    index, single = checkpoint / "model.safetensors.index.json", checkpoint / "model.safetensors"
    if single.is_file():
        return [single]
    if not index.is_file():
        raise InputError(
            f"{checkpoint} has neither {single.name} nor {index.name}; expected a folder that "
            "save_pretrained wrote"
        )
    shards = [
        checkpoint / name
        for name in sorted(set(read_json(index, "an index of safetensors")["weight_map"].values()))
    ]
    for shard in shards:
        if not shard.is_file():
            raise InputError(
                f"{shard} does not exist, but {index.name} names it; fetch the checkpoint again"
            )
    return shards
