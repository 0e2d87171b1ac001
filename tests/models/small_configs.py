"""A small config of every causal architecture that transformers lists: the same code as of the
large models, random weights."""
# ruff: noqa: RUF024

from __future__ import annotations

from typing import Any

from transformers.models.auto.configuration_auto import CONFIG_MAPPING

VOCABULARY = 400
WINDOW = 16  # tokens; of every kind of attention window, chunk and block
SIZES: dict[str, Any] = {
    **dict.fromkeys(("vocab_size", "text_vocab_size", "tgt_vocab_size"), VOCABULARY),
    **dict.fromkeys(
        (
            "hidden_size",
            "d_model",
            "n_embd",
            "dim",
            "embedding_size",
            "attention_hidden_size",
            "width",
            "decoder_hidden_size",
            "input_embedding_size",
            "output_embedding_size",
            "emb_dim",
            "cross_attention_hidden_size",
            "embed_dim",
            "lru_width",
            "word_embed_proj_dim",
            "dim_model",
        ),
        32,
    ),
    **dict.fromkeys(
        (
            "num_hidden_layers",
            "n_layer",
            "num_layers",
            "n_layers",
            "decoder_layers",
            "encoder_layers",
            "num_decoder_layers",
            "num_encoder_layers",
            "depth",
            "num_blocks",
        ),
        2,
    ),
    **dict.fromkeys(
        (
            "num_attention_heads",
            "n_head",
            "num_heads",
            "n_heads",
            "decoder_attention_heads",
            "encoder_attention_heads",
            "num_decoder_attention_heads",
            "num_encoder_attention_heads",
            "attention_heads",
        ),
        4,
    ),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads", "n_kv_heads"), 2),
    **dict.fromkeys(
        (
            "head_dim",
            "attention_head_dim",
            "kv_channels",
            "v_head_dim",
            "qk_nope_head_dim",
            "qk_head_dim",
            "dim_head",
        ),
        8,
    ),
    "qk_rope_head_dim": 4,
    "rotary_dim": 8,
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "o_lora_rank"), 16),
    **dict.fromkeys(
        (
            "intermediate_size",
            "ffn_hidden_size",
            "n_inner",
            "decoder_ffn_dim",
            "encoder_ffn_dim",
            "ffn_dim",
            "moe_intermediate_size",
            "shared_expert_intermediate_size",
            "intermediate_size_mlp",
            "dense_intermediate_size",
            "expert_intermediate_size",
            "shared_intermediate_size",
            "moe_shared_expert_intermediate_size",
            "dim_ff",
            "ffn_size",
            "expert_ffn_hidden_size",
            "d_ff",
            "dff",
            "feed_forward_size",
        ),
        48,
    ),
    **dict.fromkeys(
        (
            "num_experts",
            "num_local_experts",
            "n_routed_experts",
            "moe_num_experts",
            "num_moe_experts",
            "num_expert",
        ),
        4,
    ),
    **dict.fromkeys(
        (
            "num_experts_per_tok",
            "moe_topk",
            "moe_k",
            "top_k",
            "num_experts_per_token",
            "num_selected_experts",
        ),
        2,
    ),
    **dict.fromkeys(
        ("n_shared_experts", "num_shared_experts", "n_group", "topk_group", "num_expert_group"), 1
    ),
    **dict.fromkeys(
        (
            "max_position_embeddings",
            "n_positions",
            "n_ctx",
            "max_seq_len",
            "context_length",
            "max_sequence_length",
            "seq_length",
            "max_target_positions",
            "max_source_positions",
        ),
        4096,
    ),
    **dict.fromkeys(
        (
            "sliding_window",
            "attention_window_size",
            "window_size",
            "attention_chunk_size",
            "local_attention",
            "sliding_window_size",
        ),
        WINDOW,
    ),
    **dict.fromkeys(("chunk_size", "mamba_chunk_size", "block_size"), WINDOW),
    **dict.fromkeys(("index_topk",), 24),
    # With few heads many scores of an indexer are exactly 0, and which of equal ones it keeps
    # depends on the text's length.
    "index_head_dim": 16,
    "index_n_heads": 64,
    **dict.fromkeys(("mamba_d_state", "ssm_state_size", "state_size", "mamba_state_dim"), 8),
    **dict.fromkeys(("pad_token_id",), 6),
    **dict.fromkeys(("bos_token_id", "decoder_start_token_id"), 0),
    "eos_token_id": 1,
    "is_decoder": True,
    "use_cache": True,
}


# a word for each layer
LAYERS = ("layer_types", "mlp_layer_types", "layers_block_type", "indexer_types")


def small_config(kind: str) -> Any:
    """The config of a model type, small. Raises what transformers raises where
    it cannot be made."""
    return _small(CONFIG_MAPPING[kind], MORE.get(kind, {}))


def _small(cls: Any, more: dict[str, Any]) -> Any:
    try:
        default = cls()
    except Exception:
        default = None
    known = default.to_dict() if default is not None else {k: 1 for k in SIZES if hasattr(cls, k)}
    words = {
        k: v
        for k, v in SIZES.items()
        if k in known and not isinstance(known[k], list | tuple | dict)
    }
    words = {
        k: v
        for k, v in words.items()
        if known[k] is not None
        or k.endswith("token_id")
        or k in ("head_dim", "num_key_value_heads")
    }
    words.update(_layers(known))
    if known.get("kv_lora_rank"):  # latent attention: each head has its own keys
        words["num_key_value_heads"] = words["num_attention_heads"]
    if known.get("qk_rope_head_dim"):  # the config computes these itself
        words.pop("qk_head_dim", None)
    for name in getattr(cls, "sub_configs", {}):
        part = getattr(default, name, None) if default is not None else None
        if part is not None:
            words[name] = _small(
                type(part), {**VISION.get(name, {}), **more.get(name, {})}
            ).to_dict()
    return cls(
        **{**words, **{k: v for k, v in more.items() if k not in getattr(cls, "sub_configs", {})}}
    )


def _layers(known: dict[str, Any]) -> dict[str, Any]:
    """As few layers as show every kind of layer that the default has, at least two."""
    kinds = {
        k: list(dict.fromkeys(known[k]))
        for k in LAYERS
        if isinstance(known.get(k), list | tuple) and known[k]
    }
    if not kinds:
        return {}
    number = max(2, *map(len, kinds.values()))
    return {
        **{k: [v[i % len(v)] for i in range(number)] for k, v in kinds.items()},
        "num_hidden_layers": number,
    }


VISION: dict[str, dict[str, Any]] = {}
MORE: dict[str, dict[str, Any]] = {
    "bamba": {"mamba_n_heads": 8, "attn_layer_indices": [1]},
    "granitemoehybrid": {"mamba_n_heads": 8, "layer_types": ["linear_attention", "full_attention"]},
    **dict.fromkeys(("axk1", "deepseek_v3", "youtu"), {"head_dim": 4}),
    "deepseek_v2": {"num_experts_per_tok": 2},
    "mamba2": {"num_heads": 8, "n_groups": 1},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "dots3_note_text": (
        DOTS := {
            "num_key_value_heads": 4,
            "head_dim": 8,
            "shared_experts_intermediate_size": 48,
            "swa_q_lora_rank": 16,
            "swa_kv_lora_rank": 16,
            "swa_num_attention_heads": 4,
            "swa_num_key_value_heads": 4,
            "swa_head_dim": 12,
            "swa_qk_nope_head_dim": 8,
            "swa_v_head_dim": 8,
        }
    ),
    "dots3_note": {
        "text_config": DOTS,
        "vision_config": {"adapter_in_dim": 32, "adapter_out_dim": 32},
        "audio_config": {"adapter_out_dim": 32, "adapter_input_size": 32},
    },
    "dots1": {
        "n_routed_experts": 4,
        "n_shared_experts": 1,
        "num_experts_per_tok": 2,
        "first_k_dense_replace": 1,
    },
    "gemma3n_text": {
        "num_kv_shared_layers": 2,
        "num_hidden_layers": 4,
        "vocab_size_per_layer_input": VOCABULARY,
        "hidden_size_per_layer_input": 8,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "intermediate_size": [48] * 4,
        "activation_sparsity_pattern": [0.0] * 4,
        "laurel_rank": 8,
        "altup_num_inputs": 2,
    },
    "gemma4_text": (
        GEMMA4 := {
            "vocab_size_per_layer_input": VOCABULARY,
            "hidden_size_per_layer_input": 8,
            "global_head_dim": 16,
            "num_kv_shared_layers": 2,
            "num_hidden_layers": 4,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
        }
    ),
    "gemma4": {"text_config": GEMMA4},
    "gemma4_unified": {"text_config": {"global_head_dim": 16}},
    # Drafting models: all their layers use the keys and values of the large model that
    # they draft for.
    "gemma4_assistant": {
        "text_config": {
            "hidden_size_per_layer_input": 0,
            "vocab_size_per_layer_input": 0,
            "num_kv_shared_layers": 2,
            "global_head_dim": 16,
        }
    },
    "gemma4_unified_assistant": {"text_config": {"num_kv_shared_layers": 2, "global_head_dim": 16}},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "num_hidden_layers": 2},
    "kimi_linear": {"linear_head_dim": 8, "linear_num_heads": 4, "num_key_value_heads": 4},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "longcat_flash": {
        "head_dim": 4,
        "qk_head_dim": 12,
        "n_routed_experts": 4,
        "zero_expert_num": 2,
        "moe_topk": 2,
        "expert_ffn_hidden_size": 48,
    },
    "moshi": {"audio_vocab_size": 64, "num_codebooks": 2},
    "nemotron_h": {
        "layers_block_type": ["linear_attention", "mlp", "full_attention", "moe"],
        "mamba_num_heads": 8,
        "mamba_head_dim": 8,
        "n_groups": 1,
    },
    "phi4_multimodal": {"audio_config": {"nemo_conv_channels": 16, "ext_pw_out_channel": 32}},
    **dict.fromkeys(
        ("qwen3_5_text", "qwen3_5_moe_text", "qwen3_next"),
        LINEAR := {
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "num_key_value_heads": 2,
        },
    ),
    **dict.fromkeys(("qwen3_5", "qwen3_5_moe"), {"text_config": LINEAR}),
    "qwen4_exp_text": (
        QWEN4 := {
            **LINEAR,
            "hc_lowrank": 8,
            "ngram_vocab_size_base": 64,
            "heads_per_ngram": 2,
            "split_ngram_parts": 2,
            "make_ngram_vocab_size_divisible_by": 2,
            "indexer_n_heads": 2,
            "indexer_kv_heads": 1,
            "indexer_head_dim": 8,
            "indexer_budget": 16,
            "indexer_compress_ratio": 4,
        }
    ),
    "qwen4_exp": {"text_config": QWEN4},
    "blt": {
        "encoder_hash_byte_group_vocab": 50,
        **dict.fromkeys(("encoder_config", "decoder_config"), {"hidden_size_global": 32}),
    },
    "cohere_compass_text": {
        "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 10000.0}}
    },
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "clip_qkv": 8.0, "rope_theta": 10000.0},
        "ffn_config": {"ffn_act_fn": {"name": "silu"}},
    },
    **dict.fromkeys(
        ("qwen2_vl", "qwen2_5_vl"),
        {
            "text_config": {
                "rope_parameters": {
                    "rope_type": "default",
                    "rope_theta": 1e6,
                    "mrope_section": [2, 1, 1],
                }
            }
        },
    ),
    "recurrent_gemma": {"num_hidden_layers": 3},
    "reformer": {
        "axial_pos_embds": False,
        "attn_layers": ["local", "lsh"],
        "num_buckets": 4,
        "lsh_attn_chunk_length": 8,
        "local_attn_chunk_length": 8,
    },
    "roc_bert": {
        "shape_vocab_size": 50,
        "pronunciation_vocab_size": 50,
        "shape_embed_dim": 16,
        "pronunciation_embed_dim": 16,
    },
    "xlm": {"causal": True},
    "xlnet": {"d_inner": 48},
    "zamba": {
        "attention_hidden_size": 64,
        "attention_head_dim": 16,
        "layers_block_type": ["linear_attention", "hybrid", "hybrid"],
        "num_hidden_layers": 3,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "n_mamba_heads": 2,
        "mamba_dt_rank": 4,
    },
    "zamba2": {
        "attention_hidden_size": 64,
        "attention_head_dim": 16,
        "layers_block_type": ["linear_attention", "hybrid"],
        "mamba_headdim": 16,
        "n_mamba_heads": 4,
        "mamba_ngroups": 1,
        "adapter_rank": 4,
    },
    "xmod": {"default_language": "en_XX"},
    "zaya": {
        "num_experts_per_tok": 1,
        "layer_types": ["hybrid", "hybrid"],
        "router_hidden_size": 8,
    },
    # the head is filled up with rows whose logits the model cuts off
    "inkling_text": {"swa_head_dim": 8, "unpadded_vocab_size": 394},
    "inkling2_text": {"swa_head_dim": 8, "unpadded_vocab_size": 394},
}
