"""Write a plain Llama checkpoint as a GGUF file, so that a merged veneer also runs in llama.cpp and its kin.

Checked against llama.cpp itself: same tokens, same top token. Reading GGUF is the business of `load.py`.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer

from veneer.errors import InputError, MissingExtra
from veneer.files import read_json, write_atomically

ARCHITECTURE = "LlamaForCausalLM"

# Hugging Face name of a module -> its GGUF name. Those of BLOCK stand in `model.layers.N` and in `blk.N`.
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

# How a text is cut before the merges -> llama.cpp's name for it. llama.cpp knows these by name only, so an unknown cut is
# refused: a near miss tokenises most texts rightly and some wrongly, without a word.
_LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
PRE_TOKENIZERS: dict[tuple[str, ...], str] = {
    ("bytes with GPT-2's pattern",): "gpt-2",
    ("single digits", "bytes with GPT-2's pattern"): "smollm",
    (_LLAMA3, "bytes"): "llama-bpe",
    (_LLAMA3.replace("{1,3}", ""), "bytes"): "qwen2",
}
IGNORES_MERGES = {"llama-bpe"}  # there a whole word of the vocabulary is taken as it stands


class Target(NamedTuple):
    """Where a tensor goes: its GGUF name, its shape in the checkpoint, and its heads if rotary embeddings turn its rows."""

    name: str
    shape: tuple[int, ...]
    heads: int | None = None


class Source(NamedTuple):
    """A tensor of the checkpoint: the file that holds it, its name there, and where it goes."""

    file: Path
    name: str
    target: Target


@dataclass(frozen=True)
class Vocabulary:
    """What GGUF keeps of a tokenizer. tokens, types: a row each of the embedding, `config.vocab_size` in all."""

    tokens: list[str]
    types: list[int]
    merges: list[str]
    pre: str
    special: dict[str, int]  # bos, eos, eot, eom, unk, pad, where there is one
    add_bos: bool
    add_eos: bool
    chat_template: str | list[dict[str, str]] | None


def write_gguf(checkpoint: Path, out: Path, *, dtype: Literal["f32", "f16"] = "f32") -> Path:
    """Write the Hugging Face folder `checkpoint` (LlamaForCausalLM, byte-level BPE) as the GGUF file `out`; returns `out`.

    dtype: of the matrices; norms and biases are float32 always. One tensor is in memory at a time. Up to three tokens that
    end a response are kept (eos, eot, eom). Raises InputError, and leaves nothing behind, for what llama.cpp would compute
    or tokenise otherwise.
    """
    try:
        gguf = importlib.import_module("gguf")
    except ImportError:
        raise MissingExtra("gguf", "gguf", "writing GGUF") from None
    if dtype not in ("f32", "f16"):
        raise InputError(f"unknown GGUF dtype {dtype!r}; expected f32 or f16")
    if out.exists():
        raise InputError(f"{out} exists already; expected a new file: give another name or move it away")
    config = _config(checkpoint)
    vocabulary = _vocabulary(checkpoint, config, gguf.TokenType)
    sources = list(_sources(checkpoint, config))
    write_atomically(out, lambda part: _write(gguf, part, checkpoint, config, vocabulary, sources, dtype))
    return out


def _write(
    gguf: Any, part: Path, checkpoint: Path, config: Any, vocabulary: Vocabulary, sources: list[Source], dtype: str
) -> None:
    """Header, then metadata, then tensor by tensor: the writer never holds weights."""
    with closing(gguf.GGUFWriter(part, "llama")) as writer:
        writer.add_name(checkpoint.resolve().name)
        writer.add_file_type(gguf.LlamaFileType.ALL_F32 if dtype == "f32" else gguf.LlamaFileType.MOSTLY_F16)
        _add_shape(gguf, writer, config)
        _add_vocabulary(writer, vocabulary)
        factors = _rope_factors(config)
        if factors is not None:
            writer.add_tensor_info("rope_freqs.weight", factors.shape, factors.numpy().dtype, factors.numpy().nbytes)
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
    if not all(torch.isfinite(end) for end in tensor.aminmax()):  # NaN comes through; no second copy
        raise InputError(
            f"{source.file}: {source.name} holds numbers that {str(dtype).removeprefix('torch.')} cannot; expected finite "
            "weights: write f32, or mend the checkpoint"
        )
    if source.target.heads is not None:
        tensor = interleave(tensor, source.target.heads)
    return tensor.contiguous()


def interleave(weight: Tensor, heads: int) -> Tensor:
    """weight (heads * d_head, ...): rows of each head from halves (0..d/2, d/2..d) to pairs (0, d/2, 1, d/2 + 1, ...).

    Rotary embeddings turn pairs of rows: Hugging Face pairs row i with row i + d/2, GGUF's Llama row 2i with row 2i + 1.
    """
    return weight.view(heads, 2, -1, *weight.shape[1:]).transpose(1, 2).reshape(weight.shape)


# ---- the shape of the model


def _config(checkpoint: Path) -> Any:
    """The checkpoint's config. Raises InputError for anything that llama.cpp's Llama would compute otherwise."""
    written = read_json(checkpoint / "config.json", "the config of a Hugging Face model folder")
    found, kind = written.get("architectures") or [ARCHITECTURE], written.get("model_type")
    if found != [ARCHITECTURE] or kind != "llama":
        raise InputError(
            f"{checkpoint} is {', '.join(found)} of model_type {kind}; GGUF is written for {ARCHITECTURE} of model_type "
            "llama only: use llama.cpp's own converter for this one"
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
                f"{checkpoint}/config.json has {key} {value}; expected {choices}: use llama.cpp's own converter for this one"
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
    """What llama.cpp divides each rotary frequency by, (d_head / 2,), for Llama 3.1's scaling; None for the others.

    Short waves stay, long ones are stretched by `factor`, those between are blended (transformers' rope type "llama3").
    """
    rope = config.rope_parameters
    if rope["rope_type"] != "llama3":
        return None
    exponent = torch.arange(0, config.head_dim, 2, dtype=torch.float64) / config.head_dim
    turns = rope["original_max_position_embeddings"] * rope["rope_theta"] ** -exponent / (2 * torch.pi)  # in the old context
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    kept = ((turns - low) / (high - low)).clamp(0, 1)  # 1: a short wave
    return (1 / ((1 - kept) / rope["factor"] + kept)).float()


# ---- tensors


def _targets(config: Any) -> dict[str, Target]:
    """Name in the checkpoint -> target, for every tensor that a model of this config has."""
    d, ffn, rows = config.hidden_size, config.intermediate_size, config.vocab_size
    q, kv = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
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
    heads = {"self_attn.q_proj": config.num_attention_heads, "self_attn.k_proj": config.num_key_value_heads}
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
    """Every tensor with its file, in the files' order. Raises InputError where they are not those of the config."""
    targets = _targets(config)
    seen: set[str] = set()
    for file in _shards(checkpoint):
        try:
            with safe_open(file, framework="pt") as shard:
                shapes = {name: tuple(shard.get_slice(name).get_shape()) for name in shard.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise InputError(f"{file} is not a whole safetensors file ({error}); save or fetch the checkpoint again") from None
        for name, shape in shapes.items():
            if name.endswith("rotary_emb.inv_freq") or (name == "lm_head.weight" and config.tie_word_embeddings):
                continue  # computed from the config; a copy of the embedding
            target = targets.get(name)
            if target is None or target.shape != shape:
                expected = f"shape {target.shape}" if target else "no such tensor"
                raise InputError(
                    f"{file} holds {name} of shape {shape}, but {checkpoint}/config.json says {expected}; "
                    "save the model again with save_pretrained"
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
        raise InputError(f"{checkpoint} has neither {single.name} nor {index.name}; expected a folder that save_pretrained wrote")
    shards = [checkpoint / name for name in sorted(set(read_json(index, "an index of safetensors")["weight_map"].values()))]
    for shard in shards:
        if not shard.is_file():
            raise InputError(f"{shard} does not exist, but {index.name} names it; fetch the checkpoint again")
    return shards


# ---- tokenizer


def _add_vocabulary(writer: Any, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model("gpt2")  # GGUF's word for byte-level BPE
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    writer.add_token_merges(vocabulary.merges)
    for kind, token in vocabulary.special.items():
        getattr(writer, f"add_{kind}_token_id")(token)
    writer.add_add_bos_token(vocabulary.add_bos)
    writer.add_add_eos_token(vocabulary.add_eos)
    if vocabulary.chat_template is not None:
        writer.add_chat_template(vocabulary.chat_template)


def _vocabulary(checkpoint: Path, config: Any, kinds: Any) -> Vocabulary:
    """The tokenizer as transformers runs it, which is not always as its files state it. kinds: GGUF's types of tokens."""
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(str(checkpoint))
        state = json.loads(tokenizer.backend_tokenizer.to_str())
    except (OSError, ValueError, KeyError, AttributeError, ImportError) as error:
        raise InputError(
            f"the tokenizer of {checkpoint} cannot be loaded ({type(error).__name__}); expected tokenizer.json and "
            "tokenizer_config.json beside the weights: save it there with save_pretrained"
        ) from None
    pre = _pre_tokenizer(checkpoint, state)
    rows = dict.fromkeys(range(config.vocab_size), ("", kinds.UNUSED))
    rows |= {i: (token, kinds.NORMAL) for token, i in state["model"]["vocab"].items()}
    rows |= {t["id"]: (t["content"], kinds.CONTROL if t["special"] else kinds.USER_DEFINED) for t in state["added_tokens"]}
    if len(rows) > config.vocab_size:
        raise InputError(
            f"the tokenizer of {checkpoint} has token ids up to {max(rows)} but the model has {config.vocab_size} rows; "
            "expected a row for every token: save the tokenizer that belongs to the model, or resize the embeddings"
        )
    names = [rows[i][0] or f"[PAD{i}]" for i in range(config.vocab_size)]
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise InputError(f"the tokenizer of {checkpoint} has the token {twice!r} twice; expected every token once: mend it")
    merges = [m if isinstance(m, str) else " ".join(m) for m in state["model"]["merges"]]
    special = _special(checkpoint, tokenizer, config)
    add_bos, add_eos = _surround(checkpoint, tokenizer)
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = [{"name": name, "template": text} for name, text in template.items()]
    types = [int(rows[i][1]) for i in range(config.vocab_size)]
    return Vocabulary(names, types, merges, pre, special, add_bos, add_eos, template)


def _pre_tokenizer(checkpoint: Path, state: dict[str, Any]) -> str:
    """llama.cpp's name for the way this tokenizer cuts texts. Raises InputError where it has none."""
    model, cut = state["model"], state.get("pre_tokenizer") or {}
    steps = tuple(_step(s) for s in cut.get("pretokenizers", [cut]))
    name = PRE_TOKENIZERS.get(steps)
    odd = [k for k in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback") if model.get(k)]
    whole = bool(model.get("ignore_merges"))
    if model["type"] != "BPE":
        found = f"a {model['type']} model"
    elif odd:
        found = f"BPE with {' and '.join(odd)}"
    elif state.get("normalizer") is not None:
        found = f"the normalizer {state['normalizer'].get('type')}"
    elif name is None:
        found = f"the pre-tokenizer {' + '.join(steps)}"
    elif whole != (name in IGNORES_MERGES):
        found = f"ignore_merges {whole} with the pre-tokenizer {name}"
    else:
        return name
    raise InputError(
        f"the tokenizer of {checkpoint} has {found}, which llama.cpp would read otherwise; expected byte-level BPE that cuts "
        f"texts like one of {', '.join(PRE_TOKENIZERS.values())}: use llama.cpp's own converter for this one"
    )


def _step(step: dict[str, Any]) -> str:
    """One step of a pre-tokenizer in the words of PRE_TOKENIZERS; anything else in its own."""
    kind = step.get("type", "none")
    if kind == "ByteLevel" and not step["add_prefix_space"]:
        return "bytes with GPT-2's pattern" if step["use_regex"] else "bytes"
    if kind == "Digits" and step["individual_digits"]:
        return "single digits"
    if kind == "Split" and step["behavior"] == "Isolated" and not step["invert"]:
        return str(step["pattern"].get("Regex", step["pattern"]))
    return json.dumps(step)


def _special(checkpoint: Path, tokenizer: Any, config: Any) -> dict[str, int]:
    """The ids with a meaning. bos and eos are always named: llama.cpp takes GPT-2's, token 11, where a file names none."""
    stops = _stops(checkpoint, config)
    if tokenizer.eos_token_id is not None:
        own = tokenizer.eos_token_id
        stops = [own, *(s for s in stops if s != own)] if own in stops or not stops else stops
    if not stops:
        raise InputError(
            f"{checkpoint} names no token that ends a response; expected an eos token in tokenizer_config.json or "
            "generation_config.json: set one"
        )
    ids = dict(zip(("eos", "eot", "eom"), stops, strict=False))
    ids["bos"] = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else ids["eos"]
    ids |= {k: v for k in ("unk", "pad") if (v := getattr(tokenizer, f"{k}_token_id")) is not None}
    return ids


def _stops(checkpoint: Path, config: Any) -> list[int]:
    """The ids that end generation in transformers: those of generation_config.json, else of config.json."""
    written = checkpoint / "generation_config.json"
    ids = read_json(written, "a generation config").get("eos_token_id") if written.is_file() else None
    ids = config.eos_token_id if ids is None else ids
    return [] if ids is None else list(ids) if isinstance(ids, list) else [ids]


def _surround(checkpoint: Path, tokenizer: Any) -> tuple[bool, bool]:
    """Whether the tokenizer puts bos before and eos after a plain text: seen on one, since three places can decide it."""
    bare, full = (tokenizer("a", add_special_tokens=special).input_ids for special in (False, True))
    for bos in ([], [tokenizer.bos_token_id]):
        for eos in ([], [tokenizer.eos_token_id]):
            if [*bos, *bare, *eos] == full:
                return bool(bos), bool(eos)
    raise InputError(
        f"the tokenizer of {checkpoint} turns {bare} into {full} with special tokens; expected bos before and eos after at most: "
        "use llama.cpp's own converter for this one"
    )
